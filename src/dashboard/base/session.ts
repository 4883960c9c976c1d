/**
 * Who is logged in: the bearer token and what its owner may do. In the browser.
 *
 * Always true: without a token the login page is all that is shown; a token that the broker refuses is forgotten at once,
 * in every tab. The token stands in `localStorage`, so that a queue opened in a second tab needs no second login; it
 * ends after an hour without a request, or at logout. Gives up staying logged in where storage is switched off.
 */
import { computed, signal } from '@preact/signals';

/** What a person may do. */
export type Role = 'administrator' | 'viewer' | 'publisher';

/** A login that the broker has accepted. */
export interface Session {
  readonly token: string;
  readonly username: string;
  readonly role: Role;
  /** Of the broker, when it has said so. */
  readonly version?: string;
}

const storageKey = 'sluice.session';

/** The login, or undefined before it. */
export const session = signal<Session | undefined>(read());

/** Why the login page is shown again, for people: 'Your session has ended. …'; empty otherwise. */
export const logoutReason = signal('');

/** True for administrators: pages show what changes something only then. */
export const mayWrite = computed(() => session.value?.role === 'administrator');

window.addEventListener('storage', (event) => {
  if (event.key === storageKey || event.key === null) session.value = read();
});

/** Keeps an accepted login. */
export function startSession(next: Session): void {
  logoutReason.value = '';
  session.value = next;
  store(JSON.stringify(next));
}

/** Forgets the login; `reason` is shown on the login page. */
export function endSession(reason = ''): void {
  if (session.value === undefined) return;
  logoutReason.value = reason;
  session.value = undefined;
  store(undefined);
}

function store(text: string | undefined): void {
  try {
    if (text === undefined) localStorage.removeItem(storageKey);
    else localStorage.setItem(storageKey, text);
  } catch {
    // Without storage the login lasts as long as the page.
  }
}

function read(): Session | undefined {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(storageKey) ?? 'null');
    return isSession(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isSession(value: unknown): value is Session {
  if (typeof value !== 'object' || value === null) return false;
  const { token, username, role } = value as Record<string, unknown>;
  return typeof token === 'string' && typeof username === 'string' && typeof role === 'string';
}
