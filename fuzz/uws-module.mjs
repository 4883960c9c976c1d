/**
 * uWebSockets.js, which is on no registry, by the copy that the registry carries for some versions of Node. Its functions
 * have other names. Runs in the broker under test.
 *
 * Always true: loading fails when the copy has no binary for this version of Node.
 */
import copy from '@rjweb/uws';

// oxlint-disable-next-line import/no-default-export -- it stands for a package that has one
export default {
  App: () => copy.App(),
  us_listen_socket_close: (listenSocket) => copy.closeSocket(listenSocket),
  us_socket_local_port: (listenSocket) => copy.getSocketPort(listenSocket),
};
