/** The end of a gateway's event-loop turn, with outboxes and connections that write down what happens. Quick tier. */
import { describe, expect, test } from 'vitest';
import { Intake, OPEN } from '../../src/net/intake.js';
import { Turn, type Flushable, type Resumable } from '../../src/net/turn.js';

function outbox(name: string, events: string[], offset = 0): Flushable {
  return { offset, flush: () => void events.push(`flush ${name}`) };
}

function connection(name: string, events: string[], then: () => void = () => {}): Resumable {
  return {
    goOn: () => {
      events.push(`go on ${name}`);
      then();
    },
  };
}

/** A turn of a machine that is full, at a time that does not pass. */
function newTurn(): Turn {
  return new Turn(
    new Intake(
      () => true,
      () => 0,
    ),
  );
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the order of a turn', () => {
  test('connections go on before outboxes are flushed, each in the order of booking, once [broker]', () => {
    const turn = newTurn();
    const events: string[] = [];
    turn.flushLater(outbox('a', events));
    turn.resumeLater(connection('x', events));
    turn.flushLater(outbox('b', events));
    turn.resumeLater(connection('y', events, () => turn.flushLater(outbox('c', events))));
    turn.run();
    expect(events).toEqual(['go on x', 'go on y', 'flush a', 'flush b', 'flush c']);
    turn.run();
    expect(events.length).toBe(5);
  });

  test('runs by itself after the turn, once for all that was booked, and what goes on again waits for the next [broker]', async () => {
    const turn = newTurn();
    const events: string[] = [];
    const again = connection('x', events, () => {
      if (events.length === 1) turn.resumeLater(again);
    });
    turn.resumeLater(again);
    turn.flushLater(outbox('a', events));
    expect(events).toEqual([]);
    await nextTurn();
    expect(events).toEqual(['go on x', 'flush a']);
    await nextTurn();
    await nextTurn();
    expect(events).toEqual(['go on x', 'flush a', 'go on x']);
  });

  test('an outbox that is booked while outboxes are flushed is flushed in the next turn [broker]', async () => {
    const turn = newTurn();
    const events: string[] = [];
    turn.flushLater({
      offset: 0,
      flush: () => {
        events.push('flush a');
        turn.flushLater(outbox('b', events));
      },
    });
    turn.flush();
    expect(events).toEqual(['flush a']);
    await nextTurn();
    expect(events).toEqual(['flush a', 'flush b']);
  });
});

describe('flushFull', () => {
  test('writes what is worth a write, and leaves the others booked in their order [broker]', () => {
    const turn = newTurn();
    const events: string[] = [];
    for (const [name, offset] of [
      ['a', 10],
      ['b', 1024],
      ['c', 1023],
      ['d', 60_000],
    ] as const) {
      turn.flushLater(outbox(name, events, offset));
    }
    turn.flushFull();
    expect(events).toEqual(['flush b', 'flush d']);
    turn.run();
    expect(events).toEqual(['flush b', 'flush d', 'flush a', 'flush c']);
    turn.run();
    expect(events.length).toBe(4);
  });
});

describe('the pace of publishes', () => {
  test('every turn has its own while none are delivered [broker]', () => {
    const turn = newTurn();
    turn.publishesLeft = 0;
    turn.run();
    expect(turn.publishesLeft).toBe(OPEN);
  });

  test('while messages flow connections wait until deliveries have made room [broker]', async () => {
    const turn = newTurn();
    const events: string[] = [];
    turn.noteDeliveries(1000);
    turn.publishesLeft = 0;
    turn.resumeLater(connection('x', events));
    turn.run();
    expect(events).toEqual([]);
    turn.noteDeliveries(64);
    await nextTurn();
    expect(events).toEqual(['go on x']);
  });

  test('a connection that waits goes on even when nothing is delivered any more [broker]', async () => {
    const turn = newTurn();
    const events: string[] = [];
    turn.noteDeliveries(1000);
    turn.publishesLeft = 0;
    turn.resumeLater(connection('x', events));
    turn.run();
    while (events.length === 0) await nextTurn();
    expect(events).toEqual(['go on x']);
  });

  test('when it is used up the connections that had no turn come first in the next one: none starves [broker]', () => {
    const turn = newTurn();
    const events: string[] = [];
    // Each of ten takes all that is left and asks again at once, as a flooding publisher does.
    const all = Array.from({ length: 10 }, (_, i) => {
      const each: Resumable = connection(String(i), events, () => {
        turn.publishesLeft = 0;
        turn.resumeLater(each);
      });
      return each;
    });
    for (const each of all) turn.resumeLater(each);
    for (let i = 0; i < 30; i++) turn.run();
    const once = all.map((_, i) => `go on ${i}`);
    expect(events).toEqual([...once, ...once, ...once]);
  });
});
