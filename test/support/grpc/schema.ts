/** The protobuf types of schemas/, read by protobufjs: independent of the codecs of src/protocol. */

import protobuf from "protobufjs";
import { inRoot } from "../project.ts";

const FILES = ["types", "metastore", "raft_node", "health", "status"];

let root: protobuf.Root | null = null;

function schema(): protobuf.Root {
  if (root !== null) return root;
  root = new protobuf.Root();
  root.resolvePath = (_origin, target) => inRoot("schemas", target);
  root.loadSync(
    FILES.map((name) => `${name}.proto`),
    { keepCase: true },
  );
  return root;
}

/** A message as JSON has it: 64-bit integers and enums as strings, names of the .proto files. */
export type Message = { [field: string]: unknown };

/** Bytes of a message. `typeName` in full: "metastore.v1.AddBlockRequest". */
export function encodeMessage(typeName: string, message: Message): Uint8Array {
  const type = schema().lookupType(typeName);
  return type.encode(type.fromObject(message)).finish();
}

export function decodeMessage(typeName: string, bytes: Uint8Array): Message {
  const type = schema().lookupType(typeName);
  return type.toObject(type.decode(bytes), { longs: String, enums: String, arrays: true });
}

export interface MethodSchema {
  /** "/metastore.v1.IndexService/AddBlock" */
  readonly path: string;
  readonly request: string;
  readonly response: string;
  readonly isStreaming: boolean;
}

/** Every method of the contract. */
export function methodSchemas(): MethodSchema[] {
  const methods: MethodSchema[] = [];
  const visit = (namespace: protobuf.NamespaceBase): void => {
    for (const nested of namespace.nestedArray) {
      if (nested instanceof protobuf.Service) {
        for (const method of nested.methodsArray) {
          method.resolve();
          methods.push({
            path: `/${nested.fullName.slice(1)}/${method.name}`,
            request: method.resolvedRequestType?.fullName.slice(1) ?? "",
            response: method.resolvedResponseType?.fullName.slice(1) ?? "",
            isStreaming: method.responseStream === true,
          });
        }
      } else if (nested instanceof protobuf.Namespace) visit(nested);
    }
  };
  visit(schema());
  return methods;
}

export function methodSchema(path: string): MethodSchema {
  const found = methodSchemas().find((method) => method.path === path);
  if (found === undefined) throw new Error(`There is no method ${path}`);
  return found;
}
