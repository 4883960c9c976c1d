/**
 * How a client connects, and whether it is connected. In the browser.
 *
 * Always true: settings can be changed only while there is no connection; the password stands in the memory of the page and nowhere
 * else. Enter connects.
 */
import { Badge } from '../../components/badge.js';
import { Button } from '../../components/button.js';
import { Fault } from '../../components/fault.js';
import { CheckField, SelectField, TextField } from '../../components/field.js';
import { Facts, Panel } from '../../components/page.js';
import type { ConnectSettings, PageClient } from './page-client.js';

const versions = [
  { value: '5', label: 'MQTT 5.0' },
  { value: '4', label: 'MQTT 3.1.1' },
] as const;

/** See the file header. */
export function ConnectForm({ client }: { client: PageClient }) {
  const settings = client.settings.value;
  const state = client.state.value;
  const change = (changes: Partial<ConnectSettings>): void => {
    client.settings.value = { ...client.settings.value, ...changes };
  };
  if (state === 'connected') {
    return (
      <Panel title="Connection" actions={<Button onClick={() => client.disconnect()}>Disconnect</Button>}>
        <Facts
          facts={[
            ['State', <Badge tone="good">connected</Badge>],
            ['Client ID', settings.clientId],
            ['Protocol', settings.version === '5' ? 'MQTT 5.0' : 'MQTT 3.1.1'],
            ['User name', settings.username === '' ? 'none' : settings.username],
          ]}
        />
      </Panel>
    );
  }
  return (
    <Panel title="Connection">
      <form
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void client.connect();
        }}
      >
        <Fault text={client.fault.value} />
        <div class="columns">
          <TextField
            label="Client ID"
            value={settings.clientId}
            onInput={(clientId) => change({ clientId })}
            isCode
          />
          <SelectField
            label="Protocol"
            value={settings.version}
            options={versions}
            onChange={(version) => change({ version })}
          />
          <TextField
            label="User name"
            help="Of MQTT, not of the dashboard. Empty for none."
            value={settings.username}
            onInput={(username) => change({ username })}
          />
          <TextField
            label="Password"
            type="password"
            value={settings.password}
            onInput={(password) => change({ password })}
            autocomplete="off"
          />
        </div>
        <details>
          <summary>More options</summary>
          <CheckField
            label="Start with an empty session"
            help="Forgets what an earlier connection with this client ID has subscribed to."
            isChecked={settings.cleanStart}
            onChange={(cleanStart) => change({ cleanStart })}
          />
          {settings.version === '5' ? (
            <TextField
              label="Seconds that the session outlives the connection"
              type="number"
              min={0}
              max={4_294_967_295}
              value={String(settings.sessionExpiryS)}
              onInput={(text) => change({ sessionExpiryS: wholeNumber(text, 4_294_967_295) })}
            />
          ) : null}
        </details>
        <div class="page-actions">
          <Button type="submit" kind="primary" isBusy={state === 'connecting'}>
            Connect
          </Button>
          {state === 'connecting' ? <Button onClick={() => client.disconnect()}>Cancel</Button> : null}
        </div>
      </form>
    </Panel>
  );
}

/** The number that was typed, from 0 to `max`; 0 for anything else. */
export function wholeNumber(text: string, max: number): number {
  const number = Number(text);
  return Number.isInteger(number) && number >= 0 ? Math.min(number, max) : 0;
}
