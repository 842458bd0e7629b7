/** Entry of the reader threads of a node: the binary protocol, and gRPC beside it. */
import { createEdge, type GrpcOptions } from "../../grpc/index.ts";
import { runReader } from "../../server/index.ts";
import { canSharePort } from "../../service/index.ts";

await runReader((settings, services, { reader }) => {
  // Where a port cannot be shared, the first thread listens alone.
  const mayListen = reader === 0 || canSharePort();
  return createEdge(settings as GrpcOptions, { services, mayListen });
});
