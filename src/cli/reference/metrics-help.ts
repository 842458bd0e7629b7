/** `hearth help metrics`: every metric with its sentence. */
import { METRIC_CATALOG } from "../../metrics/index.ts";
import { wrap } from "../help.ts";

export function metricsHelp(): string {
  return METRIC_CATALOG.flatMap((spec) => {
    const labels = spec.labels === undefined ? "" : `{${spec.labels.join(",")}}`;
    return [
      `${spec.name}${labels}  ${spec.kind}`,
      ...wrap(spec.help, 92).map((line) => `    ${line}`),
    ];
  }).join("\n");
}
