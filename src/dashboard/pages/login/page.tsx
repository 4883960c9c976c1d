/**
 * The login. In the browser.
 *
 * Always true: the password is sent once and kept nowhere; what the broker says about a refused login is shown as it is, and
 * announced. Password managers find the fields by their `autocomplete`.
 * Source: `POST /login` as EMQX has it.
 */
import { useEffect, useState } from 'preact/hooks';

import { ApiError, messageOf, post } from '../../base/api.js';
import { logoutReason, type Role, startSession } from '../../base/session.js';
import { Button } from '../../components/button.js';
import { TextField } from '../../components/field.js';
import { Fault } from '../../components/fault.js';

interface Answer {
  readonly token: string;
  readonly role: Role;
  readonly version: string;
}

/** See the file header. */
export function LoginPage() {
  const [username, setUsername] = useState('admin');
  const [password, setPassword] = useState('');
  const [fault, setFault] = useState('');
  const [isBusy, setBusy] = useState(false);
  useEffect(() => {
    document.title = 'Log in · Sluice';
  }, []);
  async function login(): Promise<void> {
    if (isBusy) return;
    setBusy(true);
    setFault('');
    logoutReason.value = '';
    try {
      const { token, role, version } = await post<Answer>('/login', { username, password });
      startSession({ token, username, role, version });
    } catch (error) {
      setFault(loginFault(error));
      setPassword('');
    }
    setBusy(false);
  }
  return (
    <main class="login">
      <h1>Sluice</h1>
      <form
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void login();
        }}
      >
        <p role="status">{logoutReason.value}</p>
        <TextField
          label="User name"
          value={username}
          onInput={setUsername}
          autocomplete="username"
          isRequired
        />
        <TextField
          label="Password"
          type="password"
          value={password}
          onInput={setPassword}
          autocomplete="current-password"
          isRequired
          hasFocus
        />
        <Fault text={fault} />
        <Button type="submit" kind="primary" isBusy={isBusy} isDisabled={username === '' || password === ''}>
          Log in
        </Button>
        <p class="help">
          The first start of the broker makes the account admin and prints its password once, in the log.
        </p>
      </form>
    </main>
  );
}

function loginFault(error: unknown): string {
  if (error instanceof ApiError && error.code === 'BAD_USERNAME_OR_PWD') {
    return 'The user name or the password is wrong.';
  }
  if (error instanceof ApiError && error.code === 'LOGIN_LOCKED') {
    return 'Too many wrong passwords. The account is locked for a while; try again later.';
  }
  return messageOf(error);
}
