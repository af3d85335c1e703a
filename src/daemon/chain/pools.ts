/**
 * Mining pools by what they write into the coinbase. A tag is what its miner says about itself: nothing proves it, and anybody may
 * write another's. Each row says where its tags can be checked: a block that carries one, or a public list of observations.
 */

export interface PoolRow {
  readonly name: string;
  /** Any of them, UTF-8, case as written. */
  readonly tags: readonly string[];
  readonly source: string;
}

/** https://github.com/mempool/mining-pools */
const OBSERVED = "mempool/mining-pools, pools-v2.json";
/** https://www.litecoinpool.org/pools names the pools of Litecoin, and links the blocks of each. */
const LITECOIN = "litecoinpool.org/pools";

export const POOLS: readonly PoolRow[] = [
  { name: "1THash", tags: ["/1THash/", "/1THash&58COIN/"], source: OBSERVED },
  { name: "50BTC", tags: ["50BTC"], source: OBSERVED },
  {
    name: "AntPool",
    tags: ["/AntPool/", "Mined by AntPool", "Mined By AntPool"],
    source: "Bitcoin blocks 363703 and 482683",
  },
  { name: "ArkPool", tags: ["/ArkPool/"], source: OBSERVED },
  { name: "ASICMiner", tags: ["ASICMiner"], source: OBSERVED },
  { name: "Binance Pool", tags: ["/Binance/", "binance"], source: "Bitcoin block 702861, Litecoin block 2383206" },
  { name: "BitClub", tags: ["/BitClub Network/"], source: "Bitcoin block 481815" },
  { name: "Bitcoin.com", tags: ["pool.bitcoin.com"], source: OBSERVED },
  { name: "Bitfarms", tags: ["BITFARMS"], source: OBSERVED },
  { name: "BitFury", tags: ["/BitFury/", "/Bitfury/"], source: OBSERVED },
  { name: "BitMinter", tags: ["BitMinter"], source: OBSERVED },
  { name: "Bixin", tags: ["/Bixin/", "/HaoBTC/", "HAOBTC"], source: "Bitcoin block 426884" },
  { name: "Braiins Pool", tags: ["/slush/"], source: "Bitcoin blocks 227836, 370661 and 766391" },
  { name: "BTC Guild", tags: ["BTC Guild"], source: OBSERVED },
  { name: "BTC.com", tags: ["/BTC.COM/", "/BTC.com/", "btccom"], source: "Bitcoin block 540107" },
  { name: "BTC.TOP", tags: ["/BTC.TOP/"], source: OBSERVED },
  { name: "BTCC", tags: ["/BTCC/", "BTCChina Pool", "BTCChina.com", "btcchina.com"], source: "Bitcoin block 481824" },
  { name: "BWPool", tags: ["BWPool", "BW Pool"], source: OBSERVED },
  { name: "CKPool", tags: ["/ckpool.org/"], source: OBSERVED },
  { name: "CoinLab", tags: ["CoinLab"], source: OBSERVED },
  { name: "DPOOL", tags: ["/DPOOL.TOP/"], source: OBSERVED },
  { name: "Eligius", tags: ["Eligius"], source: OBSERVED },
  { name: "EMCD", tags: ["/EMCD/", "/one_more_mcd/", "get___emcd"], source: OBSERVED },
  { name: "F2Pool", tags: ["F2Pool", "七彩神仙鱼", "🐟"], source: "Bitcoin blocks 300025 and 413567" },
  { name: "Foundry USA", tags: ["Foundry USA Pool", "/2cDw/"], source: "Bitcoin block 766390" },
  { name: "GBMiners", tags: ["/mined by gbminers/"], source: OBSERVED },
  { name: "GHash.IO", tags: ["ghash.io"], source: OBSERVED },
  { name: "Give Me Coins", tags: ["Give-Me-Coins"], source: OBSERVED },
  { name: "Huobi.pool", tags: ["/HuoBi/", "/Huobi/"], source: OBSERVED },
  { name: "KanoPool", tags: ["Kano"], source: OBSERVED },
  { name: "KnCMiner", tags: ["KnCMiner"], source: OBSERVED },
  { name: "KuCoinPool", tags: ["KuCoinPool"], source: OBSERVED },
  { name: "litecoinpool.org", tags: ["litecoinpool.org"], source: LITECOIN },
  { name: "LTC.TOP", tags: ["/LTC.TOP/"], source: LITECOIN },
  { name: "Lubian.com", tags: ["/lubian.com/", "/Buffett/"], source: OBSERVED },
  { name: "Luxor", tags: ["/LUXOR/", "Luxor Tech"], source: OBSERVED },
  { name: "MARA Pool", tags: ["MARA Pool", "MARA Made in USA"], source: "Bitcoin block 866342" },
  { name: "MegaBigPower", tags: ["megabigpower.com"], source: OBSERVED },
  { name: "Mining-Dutch", tags: ["/Mining-Dutch/"], source: "bitcoin-data/mining-pools, pools/mining-dutch.json" },
  { name: "Minerium", tags: ["/Minerium.com/"], source: OBSERVED },
  { name: "NiceHash", tags: ["/NiceHash/", "/NiceHashSolo"], source: OBSERVED },
  { name: "NinjaPool", tags: ["/NinjaPool/"], source: "Bitcoin testnet3 block 928848" },
  { name: "NovaBlock", tags: ["/NovaBlock/"], source: OBSERVED },
  { name: "OCEAN", tags: ["OCEAN.XYZ"], source: OBSERVED },
  { name: "OKExPool", tags: ["/www.okex.com/"], source: OBSERVED },
  { name: "OzCoin", tags: ["ozco.in", "ozcoin"], source: OBSERVED },
  { name: "PEGA Pool", tags: ["/pegapool/"], source: OBSERVED },
  { name: "Polmine", tags: ["by polmine.pl", "bypmneU"], source: OBSERVED },
  { name: "Poolin", tags: ["/poolin.com", "/poolin/"], source: "Litecoin blocks 2265985 and 2383207" },
  { name: "Portland.HODL", tags: ["Portland.HODL"], source: "Bitcoin testnet4 block 40000" },
  { name: "Rawpool", tags: ["/Rawpool.com/"], source: OBSERVED },
  { name: "SBI Crypto", tags: ["/SBICrypto.com Pool/", "SBI Crypto", "SBICrypto"], source: OBSERVED },
  { name: "SECPOOL", tags: ["SecPool"], source: OBSERVED },
  { name: "Sigmapool.com", tags: ["/Sigmapool.com/"], source: OBSERVED },
  { name: "Solo CK", tags: ["/solo.ckpool.org/"], source: OBSERVED },
  { name: "SpiderPool", tags: ["SpiderPool"], source: OBSERVED },
  { name: "TATMAS Pool", tags: ["/ViaBTC/TATMAS Pool/"], source: OBSERVED },
  { name: "Terra Pool", tags: ["terrapool.io"], source: OBSERVED },
  { name: "Titan", tags: ["Titan.io"], source: OBSERVED },
  { name: "ULTIMUSPOOL", tags: ["/ultimus/"], source: OBSERVED },
  { name: "ViaBTC", tags: ["/ViaBTC/", "viabtc.com deploy"], source: OBSERVED },
  { name: "Waterhole", tags: ["/WATERHOLE.IO/"], source: OBSERVED },
  { name: "WhitePool", tags: ["WhitePool"], source: OBSERVED },
];

/** Longest first: of two tags that are there the longer says more. As latin-1, in which the script is searched. */
const TAGS: readonly { readonly name: string; readonly bytes: string }[] = POOLS.flatMap(({ name, tags }) =>
  tags.map((tag) => ({ name, bytes: Buffer.from(tag).toString("latin1") })),
).sort((a, b) => b.bytes.length - a.bytes.length);

/**
 * The pool that the script of a coinbase's input (hex) names, null where it names none known here. Where the work is merged, it is the
 * parent chain's coinbase that tells who mined.
 */
export function poolOf(coinbaseScript: string): string | null {
  const text = Buffer.from(coinbaseScript, "hex").toString("latin1");
  return TAGS.find(({ bytes }) => text.includes(bytes))?.name ?? null;
}
