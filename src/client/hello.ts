/** The first exchange of a connection: versions, names, and the server's limits. */
import type { HearthError } from "../base/index.ts";
import {
  decodeHelloReply,
  encodeHello,
  type HelloReply,
  OP,
  PROTOCOL_MAX,
  PROTOCOL_MIN,
} from "../protocol/index.ts";
import { Exchange } from "./exchange.ts";
import { buildFrame, payloadOf } from "./frames.ts";

export interface HelloSettings {
  readonly name: string;
  readonly role: string;
  readonly dictionaryMaxBytes: number;
  readonly wantsLeader: boolean;
  readonly bundleMaxBytes: number;
  onHello(hello: HelloReply): void;
  onRefused(error: HearthError): void;
}

/** The hello as an exchange to send. A reply that makes no sense throws in the sink, like any bad answer. */
export function helloExchange(settings: HelloSettings): Exchange {
  const { name, role, dictionaryMaxBytes, wantsLeader, bundleMaxBytes } = settings;
  const versions = { protocolMin: PROTOCOL_MIN, protocolMax: PROTOCOL_MAX };
  const hello = { ...versions, name, role, dictionaryMaxBytes, wantsLeader, bundleMaxBytes };
  return new Exchange({
    opcode: OP.hello,
    frame: buildFrame((sink) => encodeHello(sink, hello)),
    timeoutMs: 0,
    credit: 0,
    sink: {
      onFrame: ({ bytes }) => settings.onHello(readHello(bytes, dictionaryMaxBytes)),
      onEnd: (error) => {
        if (error !== null) settings.onRefused(error);
      },
    },
  });
}

function readHello(frame: Uint8Array, dictionaryMaxBytes: number): HelloReply {
  const hello = decodeHelloReply(payloadOf(frame));
  if (hello.protocol < PROTOCOL_MIN || hello.protocol > PROTOCOL_MAX) {
    throw new Error(`it chose protocol version ${hello.protocol}`);
  }
  if (hello.inFlightMax === 0 || hello.frameMaxBytes === 0) throw new Error("its limits are zero");
  if (hello.dictionaryMaxBytes > dictionaryMaxBytes) {
    throw new Error(`it wants ${hello.dictionaryMaxBytes} bytes kept of ${dictionaryMaxBytes}`);
  }
  return hello;
}
