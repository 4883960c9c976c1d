"""A device with one light: shows the colour that the last command asked for."""

import argparse
import json
import logging

import paho.mqtt.client as mqtt

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--host", default="sluice", help="broker host name (sluice)")
parser.add_argument("--port", type=int, default=1883, help="broker port (1883)")
parser.add_argument("--topic", default="commands/device1", help="topic of the device (commands/device1)")
args = parser.parse_args()

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
logger = logging.getLogger("device")


def on_connect(client, userdata, flags, reason_code, properties):
    logger.info("The device is connected: %s", reason_code)
    client.subscribe(f"$q/{args.topic}")


def on_message(client, userdata, message):
    command = json.loads(message.payload.decode())
    logger.info("Now I am %s (command %d)", command["color"], command["n"])


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
client.on_connect = on_connect
client.on_message = on_message
client.connect(args.host, args.port, 60)
client.loop_forever()
