/**
 * Makes a failing input small. Pure but for the judge that is given.
 *
 * Always true: what is returned fails; every step keeps a smaller input only when it still fails, and at most
 * `triesMax` inputs are tried. Cases first, then the writes of the one that is left, then bytes.
 */

/** Halves, quarters, … are left out as long as the rest fails (delta debugging). */
async function shrink(items, fails, budget) {
  let kept = items;
  for (let parts = 2; kept.length > 1 && budget.left > 0;) {
    const size = Math.ceil(kept.length / parts);
    let isSmaller = false;
    for (let at = 0; at < kept.length && budget.left > 0; at += size) {
      const rest = [...kept.slice(0, at), ...kept.slice(at + size)];
      if (rest.length === 0) continue;
      budget.left--;
      if (await fails(rest)) {
        kept = rest;
        parts = Math.max(2, parts - 1);
        isSmaller = true;
        break;
      }
    }
    if (isSmaller) continue;
    if (size === 1) break;
    parts = Math.min(kept.length, parts * 2);
  }
  return kept;
}

/** `cases` (each `{ target, writes, end }`) made smaller; `fails(cases)` plays them and says whether it still goes wrong. */
export async function minimise(cases, fails, triesMax) {
  const budget = { left: triesMax };
  let kept = await shrink(cases, fails, budget);
  for (let at = 0; at < kept.length && budget.left > 0; at++) {
    const withWrites = (writes) => kept.map((one, other) => (other === at ? { ...one, writes } : one));
    kept = withWrites(await shrink(kept[at].writes, (writes) => fails(withWrites(writes)), budget));
    const bytes = [...Buffer.concat(kept[at].writes)];
    budget.left--;
    if (budget.left > 0 && (await fails(withWrites([Buffer.from(bytes)])))) {
      const fewer = await shrink(bytes, (some) => fails(withWrites([Buffer.from(some)])), budget);
      kept = withWrites([Buffer.from(fewer)]);
    }
  }
  return kept;
}
