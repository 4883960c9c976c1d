/**
 * A topic filter in words and in examples. In the browser; pure.
 *
 * Always true: the words say what MQTT's wildcards mean in this filter and nothing else; the examples are topics that match and
 * one that nearly does, but whether they match is for the broker to say. A filter that is not well-formed has no words.
 * Source: MQTT 5.0, section 4.7.1.
 */

/** What the filter takes, as a sentence; empty while it is not a filter. */
export function inWords(filter: string): string {
  const levels = filter.split('/');
  const isWrong = levels.some(
    (level, index) =>
      (level.includes('#') && (level !== '#' || index < levels.length - 1)) ||
      (level.includes('+') && level !== '+'),
  );
  if (filter === '' || isWrong) return '';
  if (filter === '#') return 'Takes every topic, except those that begin with $.';
  const single = levels.filter((level) => level === '+').length;
  const any =
    single === 0
      ? ''
      : `, with anything in ${single === 1 ? 'the level' : `the ${single} levels`} that ${single === 1 ? 'is' : 'are'} written +`;
  if (levels.at(-1) === '#') {
    const parent = levels.slice(0, -1).join('/');
    return `Takes ${parent} itself and everything below it, however deep${any}.`;
  }
  if (single > 0)
    return `Takes topics of exactly ${levels.length} ${levels.length === 1 ? 'level' : 'levels'}${any}.`;
  return `Takes the topic ${filter} and no other.`;
}

/** Topics to try: some that match, one that does not. */
export function examplesOf(filter: string): string[] {
  if (filter === '') return [];
  if (filter === '#') return ['a', 'a/x', '$SYS/x'];
  const filled = (word: string) => filter.split('/').map((level) => (level === '+' ? word : level));
  const isDeep = filter.endsWith('/#');
  const base = isDeep ? filled('a').slice(0, -1) : filled('a');
  const examples = isDeep
    ? [base.join('/'), [...base, 'x'].join('/'), [...base, 'x', 'y'].join('/')]
    : [base.join('/'), ...(filter.includes('+') ? [filled('b').join('/')] : [])];
  const other = isDeep ? `other/${base.join('/')}` : `${base.join('/')}/deeper`;
  return [...new Set([...examples, other])].filter((topic) => topic !== '' && !/[+#]/.test(topic));
}
