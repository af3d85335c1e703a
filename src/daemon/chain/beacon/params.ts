/** Networks of the consensus layer: what their signatures cover and which fork holds when. https://github.com/eth-clients */

const NAMES = ["phase0", "altair", "bellatrix", "capella", "deneb", "electra", "fulu"] as const;
export type BeaconForkName = (typeof NAMES)[number];

export interface BeaconParams {
  readonly network: string;
  /** 0x-hex, covered by every signature. */
  readonly genesisValidatorsRoot: string;
  /** Unix seconds of slot 0. */
  readonly genesisTime: number;
  readonly secondsPerSlot: number;
  readonly slotsPerEpoch: number;
  /** A sync committee serves for one period. */
  readonly epochsPerPeriod: number;
  readonly committeeSize: number;
  /** In the order in which they come. */
  readonly forks: readonly BeaconFork[];
}

export interface BeaconFork {
  readonly name: BeaconForkName;
  /** Four bytes as a big-endian number. */
  readonly version: number;
  readonly epoch: number;
}

/** Of the mainnet preset, which test networks share. */
const PRESET = { secondsPerSlot: 12, slotsPerEpoch: 32, epochsPerPeriod: 256, committeeSize: 512 } as const;

const NETWORKS: readonly BeaconParams[] = [
  {
    ...PRESET,
    network: "mainnet",
    genesisValidatorsRoot: "0x4b363db94e286120d76eb905340fdd4e54bfe9f06bf33ff6cf5ad27f511bfe95",
    genesisTime: 1_606_824_023,
    forks: schedule(0x00000000, 0x01000000, [0, 74_240, 144_896, 194_048, 269_568, 364_032, 411_392]),
  },
  {
    ...PRESET,
    network: "sepolia",
    genesisValidatorsRoot: "0xd8ea171f3c94aea21ebc42a1ed61052acf3f9209c00e4efbaaddac09ed9b8078",
    genesisTime: 1_655_733_600,
    forks: schedule(0x90000069, 0x00000001, [0, 50, 100, 56_832, 132_608, 222_464, 272_640]),
  },
  {
    ...PRESET,
    network: "holesky",
    genesisValidatorsRoot: "0x9143aa7c615a7f7115e2b6aac319c03529df8242ae705fba9df39b79c59fa8b1",
    genesisTime: 1_695_902_400,
    forks: schedule(0x01017000, 0x01000000, [0, 0, 0, 256, 29_696, 115_968, 165_120]),
  },
  {
    ...PRESET,
    network: "hoodi",
    genesisValidatorsRoot: "0x212f13fc4df078b6cb7db228f1c8307566dcecf900867401a92023d7ba99cb5f",
    genesisTime: 1_742_213_400,
    forks: schedule(0x10000910, 0x10000000, [0, 0, 0, 0, 0, 2_048, 50_688]),
  },
];

/** Of Ethereum's networks; null for one that has no beacon chain that we know. */
export function beaconParamsFor(network: string): BeaconParams | null {
  return NETWORKS.find((params) => params.network === network) ?? null;
}

export function isBeaconFork(name: unknown): name is BeaconForkName {
  return (NAMES as readonly unknown[]).includes(name);
}

/** Whether `fork` is `since` or came after it. */
export function isSince(fork: BeaconForkName, since: BeaconForkName): boolean {
  return NAMES.indexOf(fork) >= NAMES.indexOf(since);
}

export function forkAt(slot: number, params: BeaconParams): BeaconFork {
  const epoch = Math.floor(slot / params.slotsPerEpoch);
  const fork = params.forks.findLast((each) => each.epoch <= epoch);
  if (fork === undefined) throw new RangeError(`no fork of ${params.network} holds at slot ${slot}`);
  return fork;
}

/** The sync committee period of a slot. */
export function periodAt(slot: number, params: BeaconParams): number {
  return Math.floor(slot / (params.slotsPerEpoch * params.epochsPerPeriod));
}

/** The slot that a moment of Unix time is in. */
export function slotAt(unixMs: number, params: BeaconParams): number {
  return Math.floor((unixMs / 1000 - params.genesisTime) / params.secondsPerSlot);
}

/** Every network counts its forks up in one byte of the version. */
function schedule(firstVersion: number, step: number, epochs: readonly number[]): readonly BeaconFork[] {
  return NAMES.map((name, i) => ({ name, version: firstVersion + i * step, epoch: epochs[i] ?? Infinity }));
}
