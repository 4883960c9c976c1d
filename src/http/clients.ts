/**
 * Clients, connected or with a session that waits for them: find, read, disconnect. Main thread.
 *
 * Always true: names are those of EMQX where it has them; what the broker does not know is left out, never made up.
 * DELETE of a connected client ends its connection and leaves a session that outlives connections, because messages may
 * wait in it; EMQX ends that, too, and so does `discard_session=true`.
 */
import Type, { type Static } from 'typebox';

import { addressOf, type ClientView } from '../broker/client-admin.js';
import { answers, type App, NoContent, nodeName, operation, type RouteGroup } from './app.js';
import { manyOf, PagedAnswer, PagedQuery, pageRequest, sendPage, valuesOf } from './page.js';

const time = (description: string) =>
  Type.Optional(Type.String({ format: 'date-time', description, examples: ['2026-01-01T12:00:00.000Z'] }));
const count = (description: string) => Type.Integer({ minimum: 0, description });

const ClientObject = Type.Object({
  clientid: Type.String({ examples: ['worker-1'] }),
  username: Type.Union([Type.String(), Type.Null()]),
  node: Type.String(),
  connected: Type.Boolean(),
  conn_state: Type.Enum(['connected', 'disconnected']),
  ip_address: Type.Optional(Type.String({ examples: ['127.0.0.1'] })),
  port: Type.Optional(Type.Integer()),
  listener: Type.Optional(Type.String({ description: 'Name of the listener it came through.' })),
  proto_name: Type.Optional(Type.Enum(['MQTT', 'MQIsdp'])),
  proto_ver: Type.Optional(Type.Integer({ description: '3 is MQTT 3.1, 4 is 3.1.1, 5 is 5.0.' })),
  keepalive: Type.Optional(count('Seconds; 0: none.')),
  clean_start: Type.Optional(Type.Boolean()),
  connected_at: time('Start of the connection.'),
  disconnected_at: time('End of the last connection.'),
  created_at: time('Start of the session; unknown for one of an earlier run of the broker.'),
  expiry_interval: count('Seconds that the session outlives its connection; 4294967295: for ever.'),
  durable: Type.Boolean({ description: 'The session survives a restart of the broker.' }),
  subscriptions_cnt: count('Subscriptions of all kinds.'),
  inflight_cnt: count('Messages sent to it and not answered.'),
  inflight_max: count('Most of them at a time.'),
  mqueue_len: count('Messages that wait for it, in memory and in its queue.'),
  recv_oct: Type.Optional(count('Bytes received on this connection.')),
  send_oct: Type.Optional(count('Bytes sent on this connection.')),
  mountpoint: Type.Null(),
});
type ClientObject = Static<typeof ClientObject>;

const expiryMax = 0xffff_ffff;

/** Path parameter of everything about one client. */
export const ClientParams = Type.Object({ clientid: Type.String({ description: 'Percent-encoded.' }) });

const ClientQuery = PagedQuery({
  clientid: manyOf('Exactly this client id; may be given several times.'),
  username: manyOf('Exactly this user name; may be given several times.'),
  like_clientid: Type.Optional(Type.String({ description: 'A part of the client id.' })),
  like_username: Type.Optional(Type.String({ description: 'A part of the user name.' })),
  ip_address: Type.Optional(Type.String()),
  conn_state: Type.Optional(Type.Enum(['connected', 'disconnected', 'idle'])),
  proto_ver: Type.Optional(Type.Integer({ minimum: 3, maximum: 5 })),
  clean_start: Type.Optional(Type.Enum(['true', 'false'])),
});

/** Adds the routes. */
export async function clients(app: App, group: RouteGroup): Promise<void> {
  const { clients: admin, walks } = group.admin;

  app.route({
    method: 'GET',
    url: '/clients',
    schema: {
      ...operation(group, 'listClients'),
      summary: 'Clients, in the order in which their sessions began',
      querystring: ClientQuery,
      response: answers({ 200: PagedAnswer(ClientObject) }),
    },
    handler: async ({ query }, reply) => {
      const request = pageRequest(query);
      // A client is here from its CONNACK on: none is idle.
      if (query.conn_state === 'idle')
        return await sendPage(reply, walks, { data: [], count: 0, hasNext: false }, request, clientObject);
      const page = await admin.page(
        {
          clientIds: valuesOf(query.clientid),
          usernames: valuesOf(query.username),
          likeClientId: query.like_clientid,
          likeUsername: query.like_username,
          ipAddress: query.ip_address,
          state: query.conn_state,
          protocolVersion: query.proto_ver,
          cleanStart: query.clean_start === undefined ? undefined : query.clean_start === 'true',
        },
        request,
      );
      return await sendPage(reply, walks, page, request, clientObject);
    },
  });

  app.route({
    method: 'GET',
    url: '/clients/:clientid',
    schema: {
      ...operation(group, 'getClient'),
      summary: 'Read a client',
      params: ClientParams,
      response: answers({ 200: ClientObject }, 404),
    },
    handler: async ({ params }) => clientObject(await admin.get(params.clientid)),
  });

  app.route({
    method: 'DELETE',
    url: '/clients/:clientid',
    schema: {
      ...operation(group, 'disconnectClient'),
      summary: 'Disconnect a client; one that is away loses its session',
      description:
        'MQTT 5 clients are told 0x98. A session that outlives its connection stays, and the messages in it, unless ' +
        '`discard_session=true`.',
      params: ClientParams,
      querystring: Type.Object({ discard_session: Type.Optional(Type.Enum(['true', 'false'])) }),
      response: answers({ 204: NoContent }, 404),
    },
    handler: async ({ params, query }, reply) => {
      admin.disconnect(params.clientid, query.discard_session === 'true');
      return await reply.code(204).send(null);
    },
  });
}

function clientObject(view: ClientView): ClientObject {
  const { facts, bytesReceived, bytesSent } = view;
  return {
    clientid: view.clientId,
    username: view.username ?? null,
    node: nodeName,
    connected: view.state === 'connected',
    conn_state: view.state,
    ...(facts !== undefined && {
      ...addressFields(facts.peername),
      listener: facts.listener,
      proto_name: facts.protocolVersion === 3 ? 'MQIsdp' : 'MQTT',
      proto_ver: facts.protocolVersion,
      keepalive: facts.keepAliveS,
      clean_start: facts.cleanStart,
      connected_at: isoTime(facts.connectedAtMs),
    }),
    ...(view.awaySinceMs > 0 && { disconnected_at: isoTime(view.awaySinceMs) }),
    ...(view.createdAtMs > 0 && { created_at: isoTime(view.createdAtMs) }),
    expiry_interval: Math.min(view.expiryIntervalS, expiryMax),
    durable: view.isDurable,
    subscriptions_cnt: view.subscriptions,
    inflight_cnt: view.inFlight,
    inflight_max: view.inFlightMax,
    mqueue_len: view.waiting,
    ...(bytesReceived !== undefined && { recv_oct: bytesReceived }),
    ...(bytesSent !== undefined && { send_oct: bytesSent }),
    mountpoint: null,
  };
}

function addressFields(peername: string): { ip_address: string; port?: number } {
  const { host, port } = addressOf(peername);
  return { ip_address: host, ...(port !== undefined && { port }) };
}

function isoTime(unixMs: number): string {
  return new Date(unixMs).toISOString();
}
