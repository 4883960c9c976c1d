/**
 * Variables of the commands that talk to a broker, such as `sluice queues` and `sluice pub`. Every process; constant.
 *
 * Always true: a broker that is started with them ignores them, so that one environment file serves both. An option of the
 * command line wins over its variable. Secrets belong here or into a prompt: options can be read by every user of a machine.
 */

/** Name → meaning, as docs/cli.md shows them. */
export const commandVariables = {
  SLUICE_API_URL: 'address of the REST API, such as `https://broker.example:18083`; option `--url`',
  SLUICE_API_KEY: 'API key; option `--key`',
  SLUICE_API_SECRET: 'secret of the API key; option `--secret`',
  SLUICE_MQTT_URL:
    'address for `pub`, `sub` and `bench`, such as `mqtts://broker.example:8883`; option `--url`',
  SLUICE_MQTT_USERNAME: 'MQTT user name; option `--username`',
  SLUICE_MQTT_PASSWORD: 'MQTT password; option `--password`',
} as const;
