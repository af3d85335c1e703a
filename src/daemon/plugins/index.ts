/** The door of the plug-ins: modules that bring chains. Owns loading them, holding them against the interface, and swapping them while the daemon runs; does
 *  not own what a chain is. */
export { checkPlugin, type PluginCheck } from "./conformance.ts";
export { createPlugins, loadPlugin, type PluginRow, type Plugins, type PluginStatus } from "./load.ts";
export { createSwap, type SwapModules } from "./swap.ts";
