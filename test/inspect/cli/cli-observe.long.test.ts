/** `keelson observe` over time: the next life of its instance, and clients that send slowly. */
import { connect } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startKeelson } from '../../support/commands/keelson-command.ts'
import { observing } from '../../support/commands/observe-command.ts'
import { tempFolder } from '../../support/temp-folder.ts'

/** `keelson run` in the folder `d` of `dir`, which is ready. */
const service = async (dir: string) => {
  const command = startKeelson(['run', '--dir', 'd'], dir, {}, 'ignore')
  await command.says('ready: ')
  return command
}

/** A connection that begins a request and says no more: how long the server keeps it, in ms. */
const keptFor = (url: string, text: string): Promise<number> => {
  const { port, host } = new URL(url)
  const socket = connect(Number(port), '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  const began = performance.now()
  socket.on('error', () => undefined)
  socket.resume().write(text.replace('HERE', host))
  return new Promise((resolve) => socket.on('close', () => resolve(performance.now() - began)))
}

describe('keelson observe (needs the build)', () => {
  test('says in its answers that the instance was killed, and goes on with the next one', async () => {
    const dir = tempFolder()
    const killed = await service(dir)
    const { get } = await observing(dir)
    const stream = (await get('api/stream?view=header')).body?.pipeThrough(new TextDecoderStream())
    const frames = stream?.getReader()
    expect((await frames?.read())?.value).toContain('"instance":"default"')

    killed.process.kill('SIGKILL')
    await killed.ended
    const until = async (word: string): Promise<void> => {
      while (!(await frames?.read())?.value?.includes(word));
    }
    await until('"away"')
    expect(await (await get('api/tree')).json()).toMatchObject({
      away: { reason: expect.any(String) },
    })
    await service(dir)
    await until('"instance":"default"')
  })

  test('ends the connections of slow senders after ten seconds', async () => {
    const dir = tempFolder()
    await service(dir)
    const { url } = await observing(dir)
    const body = 'Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{'

    const kept = await Promise.all([
      keptFor(url, 'GET / HTTP/1.1\r\nHost: HERE\r\n'),
      keptFor(url, `POST /api/session HTTP/1.1\r\nHost: HERE\r\n${body}`),
    ])
    expect(Math.max(...kept)).toBeLessThan(15_000)
  })
})
