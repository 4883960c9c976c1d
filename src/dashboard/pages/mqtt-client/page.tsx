/**
 * MQTT clients in the browser: connect, subscribe, publish, read. In the browser.
 *
 * Always true: each tab is a client of its own, so that producers and workers of a queue can be played on one page. They go on while
 * another page of the dashboard is shown. Viewers are told that the clients are not for them; the broker refuses them, too.
 */
import { mayWrite } from '../../base/session.js';
import { Button } from '../../components/button.js';
import { EmptyState } from '../../components/empty-state.js';
import { Page } from '../../components/page.js';
import { Tabs } from '../../components/tabs.js';
import { addClient, clients, clientsMax, removeClient, shown } from './clients.js';
import { ConnectForm } from './connect-form.js';
import { MessageList } from './message-list.js';
import './mqtt-client.css';
import { PublishForm } from './publish-form.js';
import { SubscribeForm } from './subscribe-form.js';

/** See the file header. */
export function MqttClientPage() {
  if (!mayWrite.value) {
    return (
      <Page title="MQTT client">
        <EmptyState title="Only administrators may use the client.">
          <p>It publishes and consumes messages in the name of the broker's users.</p>
        </EmptyState>
      </Page>
    );
  }
  const client = shown.value;
  const all = clients.value;
  return (
    <Page
      title="MQTT client"
      actions={
        <>
          <Button isDisabled={all.length >= clientsMax} onClick={addClient}>
            Add a client
          </Button>
          <Button onClick={() => removeClient(client)}>Remove this client</Button>
        </>
      }
    >
      <Tabs
        label="Clients of this page"
        tabs={all.map((one) => ({ key: String(one.number), title: `Client ${one.number}` }))}
        current={String(client.number)}
        onChange={(key) => {
          shown.value = all.find((one) => String(one.number) === key) ?? client;
        }}
      >
        <div class="client" key={client.number}>
          <div>
            <ConnectForm client={client} />
            <SubscribeForm client={client} />
          </div>
          <div class="client-messages">
            <PublishForm client={client} />
            <MessageList client={client} />
          </div>
        </div>
      </Tabs>
    </Page>
  );
}
