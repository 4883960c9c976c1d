/**
 * Settings of authorisation: who may publish and subscribe to what. Main thread, read once at start.
 *
 * Always true: without `SLUICE_ACL_FILE` and without clients that carry rules of their own everything is allowed;
 * with a file everything is denied that it does not allow. What the file may say is in docs/authorization.md.
 */
import { flag, optionalPath } from './variable.js';

/** Part of `Config`; see the file header. */
export const aclSettings = {
  aclFile: optionalPath('SLUICE_ACL_FILE', {
    help: 'File of permissions in the syntax of Mosquitto with additions; read again when it changes and on SIGHUP. Without it every client may do everything.',
  }),
  aclChecksQueueFilter: flag('SLUICE_MQ_ACL_CHECK_INNER', {
    fallback: true,
    help: 'A queue subscription needs the right to subscribe to the topic filter of the queue too, not only to the queue.',
  }),
};
