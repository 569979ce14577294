/** Where a socket between machines is, and its text: `10.0.0.5:7400`, `[::1]:7400`. Pure. */

/** Where a socket is. */
export type SocketAddress = { readonly host: string; readonly port: number }

const form = /^(?:\[(?<ipv6>[0-9A-Fa-f:.]+)\]|(?<host>[A-Za-z0-9_.-]+)):(?<port>\d{1,5})$/

/** The address that a text names; one without a host and with port 0 if it names none. */
export const addressIn = (text: string): SocketAddress => {
  const { host = '', ipv6, port = '0' } = form.exec(text)?.groups ?? {}
  return { host: ipv6 ?? host, port: Number(port) }
}

/** The text of an address. */
export const addressText = ({ host, port }: SocketAddress): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
