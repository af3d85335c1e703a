/** `sprint config …` and `sprint version`. */
import { stringify } from "smol-toml";
import { EXIT } from "../../shared/cli.ts";
import { type Config, dumpConfig, loadConfig } from "../config/index.ts";
import { VERSION } from "../version.ts";
import { type CommonOptions, type Io, paintFor, printResult } from "./io.ts";

export async function validate(file: string | undefined, options: CommonOptions, io: Io): Promise<number> {
  const config = load(file, io);
  const result = {
    ok: true,
    file: config.file,
    network: config.network,
    chains: config.chains.length,
    warnings: config.warnings,
  };
  printResult(io, options, result, () => {
    const paint = paintFor(io.stdout, io, options);
    const chains = config.chains.map((chain) => `${chain.chain} ${chain.network}`).join(", ");
    const lines = [`${paint("green", "valid")} ${config.file ?? "(no file, defaults)"}: ${config.network}: ${chains}`];
    return [...lines, ...config.warnings.map((warning) => `${paint("yellow", "warning")} ${warning}`)].join("\n");
  });
  return EXIT.DONE;
}

export async function dump(file: string | undefined, options: CommonOptions, io: Io): Promise<number> {
  const document = dumpConfig(load(file, io));
  printResult(io, options, document, () => stringify(document).trimEnd());
  return EXIT.DONE;
}

export async function version(options: CommonOptions, io: Io): Promise<number> {
  const result = { version: VERSION, node: process.versions.node, platform: `${process.platform}-${process.arch}` };
  printResult(io, options, result, () => `bitcoin-sprint ${result.version} (Node ${result.node}, ${result.platform})`);
  return EXIT.DONE;
}

function load(file: string | undefined, io: Io): Config {
  return loadConfig({ flags: file === undefined ? {} : { config: file }, env: io.env, cwd: io.cwd });
}
