/** Ports of this machine that nothing listens on. Another process may take one before its use. */
import { type AddressInfo, createServer } from 'node:net'

/** So many different ones. */
export const freePorts = async (count: number): Promise<readonly number[]> => {
  const servers = Array.from({ length: count }, () => createServer())
  const ports = servers.map(
    (server) =>
      new Promise<number>((resolve) =>
        server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)),
      ),
  )
  const found = await Promise.all(ports)
  await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))))
  return found
}
