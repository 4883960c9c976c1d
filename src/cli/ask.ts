/**
 * Asking a person: a hidden password, a name to confirm. Runs in the process of the command.
 *
 * Always true: a password is never echoed, also what is typed ahead of the prompt; the terminal is as it was when a question
 * ends, answered or not. A pipe answers with its first line. Prompts go to standard error, so that output can be piped.
 */
import type { Readable } from 'node:stream';

import { OperationalError } from '../base/error.js';

/** Where an answer comes from: a terminal, or a pipe whose first line it is. */
export type PasswordInput = Readable & {
  readonly isTTY?: boolean;
  setRawMode?(isRaw: boolean): unknown;
};

const answerCharsMax = 65_535;

/** A new password, twice on a terminal. Rejects with `OperationalError` ERR_AUTH when the two differ or Ctrl-C is pressed. */
export async function askTwice(input: PasswordInput, err: (text: string) => void): Promise<string> {
  if (input.isTTY !== true) return readLine(input);
  return hidden(input, async () => {
    const password = await askLine(input, 'Password: ', err);
    const again = await askLine(input, 'Password again: ', err);
    if (again !== password) throw fault('the two passwords differ');
    return password;
  });
}

/** A password that exists already. Rejects with `OperationalError` ERR_AUTH at Ctrl-C. */
export async function askOnce(
  input: PasswordInput,
  prompt: string,
  err: (text: string) => void,
): Promise<string> {
  if (input.isTTY !== true) return readLine(input);
  return hidden(input, () => askLine(input, prompt, err));
}

/** A line that is shown as it is typed; for a terminal only. Empty when the input ends. */
export async function askShown(
  input: PasswordInput,
  prompt: string,
  err: (text: string) => void,
): Promise<string> {
  err(prompt);
  return readLine(input);
}

/** From before the first prompt to after the last answer: who types ahead must not see it either. */
async function hidden(input: PasswordInput, ask: () => Promise<string>): Promise<string> {
  input.setRawMode?.(true);
  try {
    return await ask();
  } finally {
    input.setRawMode?.(false);
  }
}

/** The first line of a pipe. */
async function readLine(input: Readable): Promise<string> {
  let text = '';
  input.setEncoding('utf8');
  for await (const chunk of input as AsyncIterable<string>) {
    text += chunk;
    if (text.includes('\n') || text.length > answerCharsMax) break;
  }
  return (text.split('\n')[0] as string).replace(/\r$/, '');
}

/** A line from a terminal in raw mode. */
async function askLine(input: PasswordInput, prompt: string, err: (text: string) => void): Promise<string> {
  input.setEncoding('utf8');
  err(prompt);
  try {
    return await new Promise<string>((resolve, reject) => {
      let typed = '';
      const onEnd = (): void => onData('\r');
      const finish = (): void => {
        input.off('data', onData);
        input.off('end', onEnd);
        input.pause();
      };
      const onData = (chunk: string): void => {
        for (const character of chunk) {
          if (character === '\u0003') {
            finish();
            reject(fault('interrupted; nothing was changed'));
            return;
          }
          if (character === '\r' || character === '\n' || character === '\u0004') {
            finish();
            resolve(typed);
            return;
          }
          if (character === '\u007F' || character === '\b') typed = typed.replace(/.$/su, '');
          else typed += character;
        }
      };
      input.on('data', onData);
      input.on('end', onEnd);
      input.resume();
    });
  } finally {
    err('\n');
  }
}

function fault(message: string): OperationalError {
  return new OperationalError('ERR_AUTH', message);
}
