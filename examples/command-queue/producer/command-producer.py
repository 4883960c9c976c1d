"""Sends a random colour command to a device, one every --interval seconds, until interrupted."""

import argparse
import json
import logging
import random
import time

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

COLORS = ["Green", "Red", "Yellow"]

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--host", default="sluice", help="broker host name (sluice)")
parser.add_argument("--port", type=int, default=1883, help="broker port (1883)")
parser.add_argument("--topic", default="commands/device1", help="topic of the device (commands/device1)")
parser.add_argument("--interval", type=float, default=0.5, help="seconds between two commands (0.5)")
parser.add_argument("--count", type=int, default=0, help="number of commands, 0 = no end (0)")
args = parser.parse_args()

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
logger = logging.getLogger("command-producer")

client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="", protocol=mqtt.MQTTv5)
client.connect(args.host, args.port, 60)
client.loop_start()

# The queue keeps the newest command per key; the key is this user property.
properties = Properties(PacketTypes.PUBLISH)
properties.UserProperty = [("key", "set-color")]

number = 0
while args.count == 0 or number < args.count:
    number += 1
    command = json.dumps({"color": random.choice(COLORS), "n": number})
    info = client.publish(args.topic, payload=command, qos=1, properties=properties)
    info.wait_for_publish(30)
    logger.info("Sent %s", command)
    time.sleep(args.interval)

client.disconnect()
client.loop_stop()
