/**
 * What a bench does when it is told to end. Runs in the bench's main process.
 *
 * Always true: the broker that runs is ended first and its files are removed; then the bench ends with the exit code of
 * an interrupted command.
 */
const INTERRUPTED_EXIT_CODE = 130;

/**
 * On SIGINT and SIGTERM ends `running.opened`, a promise of a Target or undefined, then the bench; answers how to undo
 * that.
 */
export function endWith(running) {
  const end = () => {
    release();
    void Promise.resolve(running.opened)
      .then((target) => target?.stop())
      .finally(() => process.exit(INTERRUPTED_EXIT_CODE));
  };
  const release = () => {
    process.off('SIGINT', end);
    process.off('SIGTERM', end);
  };
  process.on('SIGINT', end);
  process.on('SIGTERM', end);
  return release;
}
