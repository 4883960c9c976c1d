/**
 * Moments in bodies: RFC 3339 texts, or seconds since 1970, or `infinity`. Main thread; pure.
 *
 * Always true: what is read is a whole number of milliseconds within the years that a text can say; answers are texts in UTC.
 * Source: EMQX's API, which takes both forms.
 */
import Type from 'typebox';

/** What a moment must be, in words. */
export const momentWords = 'a time such as 2030-01-31T12:00:00Z, seconds since 1970, or infinity';

/** A moment in a body. */
export const Moment = Type.Union(
  [Type.String({ minLength: 1, maxLength: 40 }), Type.Integer({ minimum: 0, maximum: 253_402_300_799 })],
  { description: momentWords },
);

const rfc3339 = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$/;

/** Unix time in ms, null for `infinity`; undefined: it is no moment. */
export function readMoment(moment: string | number): number | null | undefined {
  if (typeof moment === 'number') return moment * 1000;
  if (moment === 'infinity') return null;
  if (!rfc3339.test(moment)) return undefined;
  const ms = Date.parse(moment.replace(' ', 'T').toUpperCase());
  return Number.isNaN(ms) || ms < 0 ? undefined : ms;
}

/** The text of a moment. */
export function momentText(ms: number | null): string {
  return ms === null ? 'infinity' : new Date(ms).toISOString();
}
