/**
 * Makes a failing input small. Pure but for the judge that is given.
 *
 * Always true: what is returned fails; every step keeps a smaller input only when it still fails, and at most
 * `triesMax` inputs are tried. Cases first, then packets or writes of those that are left, then bytes.
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

/**
 * `cases` (each `{ target, writes, end }`) made smaller; `fails(cases)` plays them and says whether it still goes
 * wrong. `piecesOf(bytes, target)` cuts what one connection says at places that are worth a try.
 */
export async function minimise(cases, fails, piecesOf, triesMax) {
  const budget = { left: triesMax };
  let kept = await shrink(cases, fails, budget);
  for (let at = 0; at < kept.length && budget.left > 0; at++) {
    const withWrites = (writes) => kept.map((one, other) => (other === at ? { ...one, writes } : one));
    const { target, writes } = kept[at];
    const pieces = piecesOf(Buffer.concat(writes), target);
    budget.left--;
    // Where the cuts matter, only the writes themselves can be left out.
    const start = (await fails(withWrites(pieces))) ? pieces : writes;
    kept = withWrites(await shrink(start, (some) => fails(withWrites(some)), budget));
    const bytes = [...Buffer.concat(kept[at].writes)];
    const asOne = (some) => withWrites([Buffer.from(some)]);
    budget.left--;
    if (budget.left > 0 && (await fails(asOne(bytes)))) {
      kept = asOne(await shrink(bytes, (some) => fails(asOne(some)), budget));
    }
  }
  return kept;
}
