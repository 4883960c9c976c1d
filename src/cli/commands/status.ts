/**
 * `sluice status`: is the broker well? Made for people and for health checks.
 *
 * Always true: exit code 0 only when the broker says that it runs and all its shards are up; 1 when it answers and is not
 * well; 3 when it does not answer. The route asks for no key, so that a health check needs no secret.
 */
import type { Command } from 'commander';

import { type CommandContext, withExamples } from '../context.js';
import { CommandError, exitCode } from '../io.js';
import { type ApiOptions, withApi } from '../option.js';
import { spanText } from '../text.js';

interface Status {
  readonly status: string;
  readonly version: string;
  readonly uptime_ms: number;
  readonly shards: number;
  readonly shards_up: number;
}

/** Adds the command. */
export function addStatus(program: Command, context: CommandContext): void {
  const command = withApi(
    program.command('status').description('is the broker well? for health checks, too'),
  ).action(async (options: ApiOptions) => {
    const api = await context.api(options);
    const status = await api.get<Status>('/status');
    context.output(options).record(status, [
      ['status', status.status],
      ['address', api.target.url.origin],
      ['version', status.version],
      ['running for', spanText(status.uptime_ms)],
      ['shards up', `${status.shards_up} of ${status.shards}`],
    ]);
    if (status.status !== 'running' || status.shards_up < status.shards) {
      throw new CommandError(exitCode.failed, 'the broker runs, but not all of its shards are up', {
        code: 'SHARDS_DOWN',
        hint: 'a shard restarts by itself; the log of the broker says why it went down',
      });
    }
  });
  withExamples(command, 'sluice status', 'sluice status --url http://127.0.0.1:18083 --json');
}
