import { expect, test, vi } from 'vitest';

import { startProgress } from '../../src/cli/progress.js';
import { testScope } from '../harness/scope.js';

test('a bar changes no setting of the terminal, so that Ctrl-C leaves it as it was [broker]', () => {
  const { stderr } = process;
  const before = Object.getOwnPropertyDescriptor(stderr, 'isTTY');
  Object.defineProperty(stderr, 'isTTY', { value: true, configurable: true });
  let written = '';
  const write = vi.spyOn(stderr, 'write').mockImplementation((text) => {
    written += String(text);
    return true;
  });
  testScope().add(() => {
    write.mockRestore();
    if (before === undefined) Reflect.deleteProperty(stderr, 'isTTY');
    else Object.defineProperty(stderr, 'isTTY', before);
  });
  const io = { env: {}, out: () => undefined, err: () => undefined, errColumns: 80 };
  const progress = startProgress(io, 'exporting', 100, 'messages');
  const shown = written;
  progress.stop();
  expect(shown).toContain('exporting');
  // Modes of the terminal, such as its cursor and the wrapping of lines, are `CSI ? number h` and `l`.
  expect(shown).not.toContain('\u001B[?');
});
