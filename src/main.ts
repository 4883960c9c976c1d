#!/usr/bin/env node
/**
 * Process entry: the command line. Main thread.
 *
 * Always true: what a command needs is loaded when it is called, so that asking a running broker does not take the time of
 * loading one. The process ends with the exit code of its command, whatever is still open, but not before its output has
 * been written; output that cannot be written makes it 1.
 */
import { runCli } from './cli/cli.js';
import { processIo } from './cli/process-io.js';

const io = processIo();
const exitCode = await runCli(process.argv.slice(2), io, async (config, env) => {
  const { runBroker } = await import('./main/run-broker.js');
  return runBroker(config, env);
});
await io.flush();
// All has been stopped. Left to itself Node closes what it still holds, and may spin for ever over a TLS connection that was
// cut off amid its handshake.
process.exit(exitCode);
