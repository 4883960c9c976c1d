/** How many publishes are taken while deliveries flow, with a clock and a fullness that the tests set. Quick tier. */
import { describe, expect, test } from 'vitest';
import { Intake, OPEN } from '../../src/net/intake.js';

interface World {
  nowMs: number;
  isFull: boolean;
  readonly intake: Intake;
}

function world(isFull: boolean): World {
  const made: World = { nowMs: 0, isFull, intake: undefined as never };
  return Object.assign(made, {
    intake: new Intake(
      () => made.isFull,
      () => made.nowMs,
    ),
  });
}

/** Lets 100 ms go by in which `delivered` messages are delivered, and begins a turn. */
function window(at: World, delivered: number): void {
  at.nowMs += 100;
  if (delivered > 0) at.intake.noteDelivered(delivered);
  at.intake.turn();
}

/** What one tick adds to an empty budget. */
function extraOf(at: World): number {
  at.intake.publishesLeft = 0;
  at.intake.tick();
  return at.intake.publishesLeft;
}

describe('without a flow of deliveries', () => {
  test('every turn has a full budget, whether the machine is full or not [broker]', () => {
    for (const isFull of [true, false]) {
      const at = world(isFull);
      for (let i = 0; i < 20; i++) {
        at.intake.publishesLeft = 0;
        window(at, 999);
        expect(at.intake.isOpen).toBe(true);
        expect(at.intake.publishesLeft).toBe(OPEN);
      }
    }
  });
});

describe('with a flow of deliveries', () => {
  test('on a full machine publishes are taken as messages are delivered, and a little more [broker]', () => {
    const at = world(true);
    for (let i = 0; i < 10; i++) window(at, 20_000);
    expect(at.intake.isOpen).toBe(false);
    at.intake.publishesLeft = 0;
    at.intake.noteDelivered(100);
    expect(at.intake.publishesLeft).toBe(100);
    expect(extraOf(at)).toBe(2);
  });

  test('begins within the window in which it began, not after it [broker]', () => {
    const at = world(true);
    at.nowMs = 1;
    at.intake.noteDelivered(1000);
    expect(at.intake.isOpen).toBe(false);
    expect(at.intake.publishesLeft).toBeLessThanOrEqual(1000);
  });

  test('opens in steps of four while the machine has time left, and stays open [broker]', () => {
    const at = world(false);
    at.intake.noteDelivered(1000);
    const steps = [];
    for (let i = 0; i < 5; i++) {
      window(at, 5000);
      steps.push(extraOf(at));
    }
    expect(steps).toEqual([128, 512, OPEN, OPEN, OPEN]);
    at.intake.noteDelivered(5000);
    expect(at.intake.isOpen, 'the flow is the same one').toBe(true);
  });

  test('is over when a window had few deliveries [broker]', () => {
    const at = world(true);
    for (let i = 0; i < 10; i++) window(at, 20_000);
    window(at, 10);
    expect(at.intake.isOpen).toBe(true);
  });

  test('a fullness that was measured over a long time says nothing about now [broker]', () => {
    const at = world(true);
    for (let i = 0; i < 10; i++) window(at, 20_000);
    at.nowMs += 5000;
    at.intake.noteDelivered(1_000_000);
    at.intake.turn();
    expect(extraOf(at)).toBe(8);
  });

  test('a budget never exceeds that of an open turn [broker]', () => {
    const at = world(true);
    for (let i = 0; i < 10; i++) window(at, 1_000_000);
    expect(at.intake.publishesLeft).toBe(OPEN);
  });
});
