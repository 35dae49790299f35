// What `dualpath dashboard` writes, against Grafana's own types: `node check.mjs FOLDER FILE...`; FOLDER has the packages.
// Each dashboard is a literal of TypeScript here, so that the compiler refuses what is missing, of another type, or unknown.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";

const [folder, ...files] = process.argv.slice(2);
const ts = createRequire(join(folder, "package.json"))("typescript");

// JSON has the values of enumerations, not their names; and no methods.
const PLAIN = `
type Plain<T> = T extends boolean | null | undefined ? T
  : T extends string ? \`\${T}\`
  : T extends number ? T | \`\${T}\` extends infer N ? Extract<N, number> : never
  : T extends (infer E)[] ? Plain<E>[]
  : T extends object ? { [K in keyof T as T[K] extends (...rest: any[]) => any ? never : K]: Plain<T[K]> }
  : T;
`;
const PACKAGES = ["dashboard", "prometheus", "timeseries", "stat", "statetimeline"];
const importOf = (name) => `import type * as ${name} from "@grafana/grafana-foundation-sdk/${name}";`;
const KINDS = { timeseries: "timeseries", stat: "stat", "state-timeline": "statetimeline" };

function source(file) {
  const dashboard = JSON.parse(readFileSync(file, "utf8"));
  const lines = [...PACKAGES.map(importOf), PLAIN];
  const literal = (type, value) => lines.push(`{ const it: Plain<${type}> = ${JSON.stringify(value)}; void it; }`);
  for (const panel of dashboard.panels) {
    const kind = KINDS[panel.type];
    if (!kind) throw new Error(`${file}: a panel of type ${panel.type}`);
    for (const target of panel.targets) literal("prometheus.Dataquery", target);
    literal(`${kind}.Options`, panel.options);
    if (panel.fieldConfig.defaults.custom) literal(`${kind}.FieldConfig`, panel.fieldConfig.defaults.custom);
    literal("dashboard.Panel", { ...panel, targets: [] });
  }
  literal("dashboard.Dashboard", { ...dashboard, panels: [] });
  return lines.join("\n");
}

const sources = new Map(files.map((file) => [join(folder, `${basename(file, ".json")}.check.ts`), source(file)]));
const options = { strict: true, noEmit: true, skipLibCheck: true, module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext, target: ts.ScriptTarget.ES2022, types: [] };
const host = ts.createCompilerHost(options);
const readOf = { ...host };
host.fileExists = (name) => sources.has(name) || readOf.fileExists(name);
host.readFile = (name) => sources.get(name) ?? readOf.readFile(name);
host.getSourceFile = (name, target) => (sources.has(name) ? ts.createSourceFile(name, sources.get(name), target) : readOf.getSourceFile(name, target));
const program = ts.createProgram([...sources.keys()], options, host);
const found = ts.getPreEmitDiagnostics(program);
for (const problem of found) {
  const place = problem.file ? problem.file.text.slice(problem.start, problem.start + 120) : "";
  console.error(`${problem.file ? basename(problem.file.fileName) : ""}: ${ts.flattenDiagnosticMessageText(problem.messageText, "\n")}\n    ${place}`);
}
// A check that can't fail is none.
const wrong = new Map([[join(folder, "wrong.check.ts"), `${importOf("dashboard")}${PLAIN}const it: Plain<dashboard.Panel> = {"type": "stat", "titel": "x"}; void it;`]]);
host.fileExists = (name) => wrong.has(name) || readOf.fileExists(name);
host.readFile = (name) => wrong.get(name) ?? readOf.readFile(name);
host.getSourceFile = (name, target) => (wrong.has(name) ? ts.createSourceFile(name, wrong.get(name), target) : readOf.getSourceFile(name, target));
const refused = ts.getPreEmitDiagnostics(ts.createProgram([...wrong.keys()], options, host)).length;
if (refused === 0) console.error("an unknown key was taken");
process.exitCode = found.length > 0 || refused === 0 ? 1 : 0;
