/** `keelson observe` as a process, with a client that has its token. */
import { startKeelson } from './keelson-command.ts'

/** `keelson observe` of the folder `d` in `dir`, which has printed its address, with a client of its page. */
export const observing = async (dir: string, ...words: string[]) => {
  const command = startKeelson(['observe', '--dir', 'd', ...words], dir, { TMPDIR: dir })
  await command.says(/another one\.\n/)
  const [, url = '', code = ''] = /(http:\S+)#code=(\S+)\n/.exec(command.printed()) ?? []
  const body = JSON.stringify({ code })
  const exchange = () =>
    fetch(`${url}api/session`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    })
  const { token } = (await (await exchange()).json()) as { token: string }
  const get = (path: string, authorization = `Bearer ${token}`) =>
    fetch(url + path, { headers: { authorization } })
  return { command, url, token, exchange, get }
}
