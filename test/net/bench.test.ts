import { expect, test } from 'vitest';

import { benchNet } from '../../bench/net.js';

test('the read bench runs and both ways read everything [broker]', async () => {
  const results = await benchNet(1);
  expect(results.map(({ megabytes }) => megabytes >= 2)).toEqual([true, true]);
});
