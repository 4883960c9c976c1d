export function rabbitPeers() {
  return [];
}
