/** Where each value of the configuration comes from: what loadConfig decides, told key by key. */
import { CHAIN_NAME, type Chain } from "../../shared/chain.ts";
import { nearest } from "../../shared/cli.ts";
import { redactValue } from "../../shared/redact.ts";
import { TIER, type TierRow } from "../../shared/tier.ts";
import { type ConfigFlags, type ConfigSources, documentOf, findFile, flagOf, loadConfig, variableOf } from "./load.ts";
import { readWrittenChains } from "./chains.ts";
import { changesWhileRunning, leavesOf } from "./diff.ts";
import { type FileValues, readConfigFile } from "./file.ts";
import { COMMAND_LINE, unknownKey } from "./values.ts";

export interface ExplainedKey {
  readonly key: string;
  /** Without secrets. */
  readonly value: unknown;
  /** `--log-level`, `SPRINT_LOG_LEVEL`, `/etc/bitcoin-sprint/sprint.toml: log.level`, `default`, … */
  readonly from: string;
  /** Who else said something, and was not heard. */
  readonly over: readonly string[];
  /** False: a new value waits for the next start. */
  readonly whileRunning: boolean;
}

const DEFAULT = "default";

/** Keys that an option sets beside the file. */
const OPTIONS: readonly (readonly [RegExp, keyof ConfigFlags])[] = [
  [/^tiers$/, "tier"],
  [/^network$/, "network"],
  [/^data_dir$/, "dataDir"],
  [/^host$/, "host"],
  [/^ports\./, "port"],
  [/^control_port$/, "controlPort"],
  [/^log\.level$/, "logLevel"],
  [/^log\.format$/, "logFormat"],
];

/**
 * Every key in effect, or `key` and those below it. Throws SPRINT_CONFIG_* like loadConfig, and SPRINT_CONFIG_UNKNOWN_KEY where there is
 * no such key.
 */
export function explainConfig(sources: ConfigSources, key: string | null = null): readonly ExplainedKey[] {
  const config = loadConfig(sources);
  const file = findFile(sources);
  const said: Said = { ...sources, file, values: file === null ? {} : readConfigFile(file, sources.env) };
  const leaves = leavesOf(documentOf(config));
  const known = [...leaves.keys()];
  const wanted = key === null ? known : known.filter((each) => each === key || each.startsWith(`${key}.`));
  if (wanted.length === 0 && key !== null) {
    const near = known.find((each) => each.endsWith(`.${key}`)) ?? nearest(key, known);
    throw unknownKey({ source: file ?? COMMAND_LINE, key }, key, sectionsOf(known), near);
  }
  return wanted.map((each) => {
    const [from, ...over] = [...places(each, said), DEFAULT];
    return {
      key: each,
      value: redactValue(leaves.get(each)),
      from: from ?? DEFAULT,
      over: over.filter((place) => place !== DEFAULT),
      whileRunning: changesWhileRunning(each),
    };
  });
}

interface Said extends ConfigSources {
  readonly file: string | null;
  readonly values: FileValues;
}

/** Whoever says something about `key`, strongest first. */
function places(key: string, said: Said): readonly string[] {
  const [section, name = "", field = ""] = key.split(".");
  if (section === "chains" && CHAIN_NAME.test(name)) return chainPlaces(name, field, said);
  const option = OPTIONS.find(([pattern]) => pattern.test(key))?.[1];
  const fromOption = option === undefined ? [] : optionPlaces(option, said);
  const inFile = fileKeys(key, said.values).map((each) => `${said.file ?? ""}: ${each}`);
  if (key === "network" && fromOption.length + inFile.length === 0) return networkOfChains(said);
  const stateHome = key === "data_dir" && (said.env["XDG_STATE_HOME"] ?? "") !== "" ? ["XDG_STATE_HOME"] : [];
  return [...fromOption, ...inFile, ...stateHome];
}

function optionPlaces(option: keyof ConfigFlags, { flags, env }: Said): readonly string[] {
  const variable = variableOf(option);
  return [
    ...(flags[option] === undefined ? [] : [flagOf(option)]),
    ...((env[variable] ?? "") === "" ? [] : [variable]),
  ];
}

/** The keys of the file that decide on `key`, which is none of a chain's. */
function fileKeys(key: string, values: FileValues): readonly string[] {
  const [section, name = "", field = ""] = key.split(".");
  if (section === "tiers") return (["tiers", "tier"] as const).filter((each) => values[each] !== undefined);
  if (section === "control_tokens") return ["control_tokens"];
  const usual = (TIER as Readonly<Record<string, TierRow>>)[name];
  if (section === "pacing" && field === "max" && usual?.pacingMs === null) {
    // Where a tier is not paced by itself, `min` alone is both.
    return [`pacing.${name}.max`, `pacing.${name}.min`].filter((each) => isWritten(values, each));
  }
  return isWritten(values, key) ? [key] : [];
}

function isWritten(values: FileValues, key: string): boolean {
  let at: unknown = values;
  for (const name of key.split(".")) at = (at as Readonly<Record<string, unknown>> | undefined)?.[name];
  return at !== undefined;
}

function chainPlaces(chain: Chain, field: string, said: Said): readonly string[] {
  const { flags, env, file, values } = said;
  const written = values.chains?.[chain];
  const inFile = (key: string): string => `${file ?? ""}: chains.${chain}${key === "" ? "" : `.${key}`}`;
  const named = readWrittenChains(flags.chain, env).find((entry) => entry.chain === chain);
  const byName = named === undefined ? [] : [named.place.key];
  switch (field) {
    case "enabled":
      return [...byName, ...(written === undefined ? [] : [inFile(written.enabled === undefined ? "" : "enabled")])];
    case "upstreams": {
      const keys = (["upstreams", "zmq_endpoint", "ws_endpoint", "rpc_url"] as const).filter(
        (key) => written?.[key] !== undefined,
      );
      return [...byName, ...(keys.length === 0 ? [] : [keys.map(inFile).join(", ")])];
    }
    case "network":
      return [
        ...(written?.network === undefined ? [] : [inFile("network")]),
        ...places("network", said).filter((place) => place !== OWN_NETWORKS),
        ...(hasUpstreams(chain, said) ? [`the URLs of chains.${chain}.upstreams`] : []),
      ];
    default:
      return isWritten({ ...written } as FileValues, field) ? [inFile(field)] : [];
  }
}

const OWN_NETWORKS = "the networks of the chains";

/** Nobody named a network: it is devnet where no chain was named either. */
function networkOfChains({ flags, env, values }: Said): readonly string[] {
  const sections = Object.values(values.chains ?? {}).filter((section) => section !== undefined);
  const isNamed = readWrittenChains(flags.chain, env).length > 0 || sections.some(({ enabled }) => enabled !== false);
  return isNamed ? [OWN_NETWORKS] : [];
}

function hasUpstreams(chain: Chain, { flags, env, values }: Said): boolean {
  const written = values.chains?.[chain];
  const urls = [
    ...readWrittenChains(flags.chain, env).flatMap((entry) => (entry.chain === chain ? [entry.url] : [])),
    ...(written?.upstreams ?? []),
    ...(written?.rpc_url === undefined ? [] : [written.rpc_url]),
  ];
  return urls.some((url) => /[?&]network=/.test(url));
}

function sectionsOf(keys: readonly string[]): readonly string[] {
  return [...new Set(keys.map((key) => key.split(".")[0] ?? key))];
}
