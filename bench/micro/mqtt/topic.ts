/**
 * Checks of topic names and topic filters. Bench process.
 *
 * Always true: every topic is a good one, so that the whole of it is looked at.
 */
import { isTopicNameBytes, topicFilterFault, topicNameFault } from '../../../src/mqtt/topic.js';
import { measure, same, type Figure, type Task } from '../measure.js';

const operations = 100;
const names = Array.from({ length: operations }, (_, i) => `plant/${i % 10}/line/${i}/sensor/temperature`);
const accented = names.map((name) => `${name}/müll`);
const filters = names.map((_, i) => (i % 2 === 0 ? `plant/+/line/${i}/#` : `plant/${i}/line/+/sensor/+`));

function ofBytes(title: string, texts: readonly string[]): Task {
  const topics = texts.map((text) => Buffer.from(text));
  return {
    name: title,
    operations,
    run() {
      let good = 0;
      for (const topic of topics) if (isTopicNameBytes(topic, 0, topic.length)) good++;
      same(title, good, operations);
    },
  };
}

function ofText(title: string, texts: readonly string[], fault: (text: string) => unknown): Task {
  return {
    name: title,
    operations,
    run() {
      let good = 0;
      for (const text of texts) if (fault(text) === undefined) good++;
      same(title, good, operations);
    },
  };
}

/** Operations are topics. */
export function benchTopic(scale: number): Figure[] {
  return measure(scale, [
    ofBytes('check the bytes of a topic name, ASCII', names),
    ofBytes('check the bytes of a topic name, not ASCII', accented),
    ofText('check a topic name', names, topicNameFault),
    ofText('check a topic filter', filters, topicFilterFault),
  ]);
}
