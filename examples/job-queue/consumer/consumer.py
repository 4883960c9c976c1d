"""Takes jobs from the queue of a topic and works on each for --sleep seconds."""

import argparse
import logging
import time

import paho.mqtt.client as mqtt

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--host", default="sluice", help="broker host name (sluice)")
parser.add_argument("--port", type=int, default=1883, help="broker port (1883)")
parser.add_argument("--name", default="consumer", help="name in the log (consumer)")
parser.add_argument("--topic", default="jobs", help="topic whose queue is consumed (jobs)")
parser.add_argument("--sleep", type=float, default=0.0, help="seconds of work per job (0)")
args = parser.parse_args()

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
logger = logging.getLogger(args.name)


def on_connect(client, userdata, flags, reason_code, properties):
    logger.info("%s is connected: %s", args.name, reason_code)
    client.subscribe(f"$q/{args.topic}")


def on_subscribe(client, userdata, mid, reason_codes, properties):
    logger.info("%s waits for jobs", args.name)


def on_message(client, userdata, message):
    job = message.payload.decode()
    logger.info("%s takes %s", args.name, job)
    time.sleep(args.sleep)
    # The acknowledgement leaves when this function returns, so an interrupted job goes to another consumer.
    logger.info("%s is done with %s", args.name, job)


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
client.on_connect = on_connect
client.on_subscribe = on_subscribe
client.on_message = on_message
client.connect(args.host, args.port, 60)
client.loop_forever()
