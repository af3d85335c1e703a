/** Insertion-ordered map as a bounded memory: at `limit` the oldest entry goes. */
export function bounded<V>(map: Map<string, V>, key: string, value: V, limit: number): void {
  map.set(key, value);
  if (map.size <= limit) return;
  const oldest = map.keys().next();
  if (!oldest.done) map.delete(oldest.value);
}
