/**
 * How one connection proves who it is: at CONNECT, step by step by AUTH, and anew later. Main thread.
 *
 *   CONNECT ─▶ (no method) authenticator ──────────────▶ decided
 *           ╰▶ (method) exchange ⇄ AUTH 0x18 ⇄ client ──▶ decided        AUTH 0x19 ─▶ exchange … ─▶ renewed
 *
 * Always true: the steps of an exchange are asked for one after another, with the connection held while one is decided;
 * every AUTH names the method of CONNECT [MQTT-4.12.0-5]. Gives up: what an answer means; the client object acts on it.
 */
import type { IAuthPacket, IConnectPacket } from 'mqtt-packet';

import type { AuthExchange, AuthRequest, Authenticator, AuthStep } from '../auth/authenticator.js';
import { reasonCode, violation } from '../mqtt/reason-code.js';

/** What the connection does for its authentication. */
export interface AuthenticationOwner {
  /** No packet is taken until `resume`. */
  hold(): void;
  resume(): void;
  sendAuth(code: number, method: string, data: Buffer | undefined): void;
  /** The answer to CONNECT: success or refusal. */
  decided(step: AuthStep, packet: IConnectPacket): void;
  /** The answer to a re-authentication. */
  renewed(step: AuthStep): void;
  /** An answer came late or not at all: true while somebody waits for it. */
  readonly isWaiting: boolean;
  failed(error: unknown): void;
}

/** See the file header. One per connection. */
export class Authentication {
  readonly #owner: AuthenticationOwner;
  readonly #authenticator: Authenticator | undefined;
  #request: AuthRequest | undefined;
  #exchange: AuthExchange | undefined;
  #method: string | undefined;
  /** The CONNECT that is not decided yet. */
  #connecting: IConnectPacket | undefined;

  constructor(owner: AuthenticationOwner, authenticator: Authenticator | undefined) {
    this.#owner = owner;
    this.#authenticator = authenticator;
  }

  /** Authentication Method of CONNECT. */
  get method(): string | undefined {
    return this.#method;
  }

  /** True while the client's next AUTH is awaited. */
  get isExchanging(): boolean {
    return this.#exchange !== undefined;
  }

  /** CONNECT has come. Ends in `decided`, at once or later. */
  begin(packet: IConnectPacket, request: AuthRequest): void {
    this.#request = request;
    this.#connecting = packet;
    this.#method = packet.properties?.authenticationMethod;
    if (this.#method === undefined) {
      const answer = this.#authenticator?.authenticate(request) ?? anybody(packet.username);
      this.#take(answer);
      return;
    }
    this.#exchange = this.#authenticator?.exchange(this.#method, request);
    if (this.#exchange === undefined) {
      this.#stepped({ kind: 'refused', reasonCode: reasonCode.badAuthenticationMethod }); // [MQTT-4.12.0-1]
      return;
    }
    this.#take(this.#exchange.step(packet.properties?.authenticationData));
  }

  /** AUTH within the authentication of CONNECT. */
  further(packet: IAuthPacket): void {
    this.#checkMethod(packet);
    if (packet.reasonCode !== reasonCode.continueAuthentication || this.#exchange === undefined) {
      throw violation('AUTH with another reason code than 0x18', 'MQTT-4.12.0-3');
    }
    this.#take(this.#exchange.step(packet.properties?.authenticationData));
  }

  /** AUTH on a connection that is up: re-authentication, begun or continued [MQTT-4.12.1-1]. */
  anew(packet: IAuthPacket): void {
    if (this.#method === undefined || this.#request === undefined) {
      throw violation('AUTH without Authentication Method in CONNECT', 'MQTT-4.12.0-7');
    }
    this.#checkMethod(packet);
    if (packet.reasonCode === reasonCode.reAuthenticate && this.#exchange === undefined) {
      this.#exchange = this.#authenticator?.exchange(this.#method, this.#request);
    } else if (packet.reasonCode !== reasonCode.continueAuthentication) {
      throw violation('AUTH that nobody waits for', 'MQTT-4.12.0-3');
    }
    if (this.#exchange === undefined) throw violation('AUTH that nobody waits for', 'MQTT-4.12.0-3');
    this.#take(this.#exchange.step(packet.properties?.authenticationData));
  }

  #checkMethod({ properties }: IAuthPacket): void {
    if (properties?.authenticationMethod !== this.#method) {
      throw violation('Authentication Method differs from the one of CONNECT', 'MQTT-4.12.0-5');
    }
  }

  #take(answer: AuthStep | Promise<AuthStep>): void {
    if (!(answer instanceof Promise)) {
      this.#stepped(answer);
      return;
    }
    const owner = this.#owner;
    owner.hold();
    answer
      .catch((error: unknown): AuthStep => {
        owner.failed(error);
        return { kind: 'refused', reasonCode: reasonCode.serverUnavailable };
      })
      .then((step) => {
        if (!owner.isWaiting) return;
        this.#stepped(step);
        owner.resume();
      })
      .catch((error: unknown) => owner.failed(error));
  }

  #stepped(step: AuthStep): void {
    if (step.kind === 'continue') {
      this.#owner.sendAuth(reasonCode.continueAuthentication, this.#method ?? '', step.data);
      return;
    }
    const connecting = this.#connecting;
    this.#exchange = undefined;
    this.#connecting = undefined;
    // The password is not kept longer than it is needed.
    if (this.#request !== undefined) this.#request = { ...this.#request, password: undefined };
    if (connecting === undefined) this.#owner.renewed(step);
    else this.#owner.decided(step, connecting);
  }
}

/** Without an authenticator everybody is who they say. */
function anybody(username: string | undefined): AuthStep {
  return { kind: 'success', identity: { username } };
}
