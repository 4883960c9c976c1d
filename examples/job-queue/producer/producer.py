"""Publishes numbered jobs to a topic with QoS 1, one every --interval seconds."""

import argparse
import logging
import time

import paho.mqtt.client as mqtt

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--host", default="sluice", help="broker host name (sluice)")
parser.add_argument("--port", type=int, default=1883, help="broker port (1883)")
parser.add_argument("--topic", default="jobs", help="topic to publish to (jobs)")
parser.add_argument("--interval", type=float, default=0.1, help="seconds between two jobs (0.1)")
parser.add_argument("--count", type=int, default=500, help="number of jobs (500)")
args = parser.parse_args()

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
logger = logging.getLogger("producer")

client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
client.connect(args.host, args.port, 60)
client.loop_start()

pending = []
for number in range(args.count):
    pending.append(client.publish(args.topic, payload=f"job {number}", qos=1))
    logger.info("Published job %d to %s", number, args.topic)
    time.sleep(args.interval)

# publish() only hands a message to the network thread. A job is safe once the broker has acknowledged it.
for info in pending:
    info.wait_for_publish(30)

logger.info("All %d jobs are acknowledged", args.count)
client.disconnect()
client.loop_stop()
