/** `keelson mcp` as a process, with the client of the official SDK. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Ctx, flow, flows, queue, workflow } from '../../../dist/flow/index.js'
import {
  call,
  cast,
  type DurableServer,
  entity,
  type GenServer,
  noReply,
  reply,
  start,
  supervisor,
  worker,
} from '../../../dist/index.js'
import { tools } from '../../../src/inspect/mcp/tools.ts'
import { capturedLog } from '../../../src/testing/kit/captured-log.ts'
import { program, running, startKeelson } from '../../support/commands/keelson-command.ts'
import { mcpClient } from '../../support/commands/mcp-client.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const canary = 'CANARY7'
const secrets = { login: 'ada', password: canary }

/** A port of this machine that refuses connections. */
const refusingPort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

type Accounts = { calls: { open: (terms: typeof secrets) => void; fail: () => void } }
const account: DurableServer<Accounts, typeof secrets> = {
  init: () => ({ login: '', password: '' }),
  calls: {
    open: (_, terms) => reply(undefined, { ...terms }),
    fail: (): never => {
      throw Object.assign(new Error('card refused'), { card: canary, state: secrets })
    },
  },
}

type Mailer = { casts: { send: (mail: typeof secrets) => void } }
const mailer: GenServer<Mailer, typeof secrets> = {
  init: () => secrets,
  casts: {
    send: (_, mail): never => {
      throw new Error(`no mailbox, password=${canary}`, {
        cause: Object.assign(new Error('smtp'), mail),
      })
    },
  },
}

const idle: GenServer<Mailer, typeof secrets> = {
  init: () => secrets,
  casts: { send: (state) => noReply(state) },
}

const openBody = async (ctx: Ctx<{ go: null }>): Promise<void> => {
  await ctx.step('reserve', () => secrets)
  await ctx.waitFor('go')
}

const log = capturedLog()

/** An instance on a folder, whose workflow `approval` has this body. */
const started = async (dir: string, port: number, body: typeof openBody) => {
  const charge = async (): Promise<number> => {
    const { status } = await fetch(`http://127.0.0.1:${port}/charge?token=${canary}`)
    return status
  }
  const payment = workflow('payment', async (ctx: Ctx, order: typeof secrets) => {
    await ctx.attributes({ customer: order.login, accessToken: canary })
    ctx.report(order)
    await ctx.step('charge', charge, { retry: { max: 1 } })
  })
  const approval = workflow('approval', body)
  const mails = queue(
    'mails',
    (mail: typeof secrets): void => {
      throw Object.assign(new Error(`refused with secret: ${canary}`), mail)
    },
    { retry: { max: 1 } },
  )
  const app = await start({
    dir,
    attach: true,
    logger: log,
    app: supervisor('app', { intensity: 1_000 }, [
      worker('mailer', mailer),
      worker('idle', idle),
      entity('account', account),
      flows({ workflows: [payment, approval], queues: [mails] }),
    ]),
  })
  onTestFinished(() => app.close().then(() => undefined))
  return { app, runs: flow(app), payment, approval, mails }
}

const heard = (app: Awaited<ReturnType<typeof start>>, event: string): Promise<unknown> =>
  new Promise((resolve) => app.system.events.on(event as never, resolve as never))

/** An instance in which a step, a job, a run, an actor and a process have failed. */
const troubledInstance = async () => {
  const dir = tempFolder()
  const port = await refusingPort()
  const before = await started(dir, port, openBody)
  const reserved = heard(before.app, 'flow.step')
  await before.runs.start(before.approval, undefined, { id: '1' })
  await reserved
  await before.app.close()

  const { app, runs, payment, approval, mails } = await started(dir, port, async (ctx) => {
    await ctx.step('renamed', () => secrets)
    await ctx.waitFor('go')
  })
  const blocked = heard(app, 'flow.blocked')
  await runs.handle(approval, '1').signal('go', null)
  await blocked
  const paying = await runs.start(payment, secrets, { id: '7' })
  await paying.result().catch(() => undefined)
  const died = heard(app, 'queue.failed')
  await runs.add(mails, secrets)
  await died
  const accounts = app.entity(entity('account', account))
  await call(accounts.ref('ann'), 'open', secrets)
  await call(accounts.ref('ann'), 'fail').catch(() => undefined)
  for (let time = 0; time < 3; time++) {
    const crashed = heard(app, 'process.crashed')
    const restarted = heard(app, 'process.restarted')
    cast(app.system.to('mailer' as never), 'send' as never, secrets as never)
    await crashed
    await restarted
  }
  app.system.logger.warn('a login has failed', secrets)
  app.system.logger.warn(`retry with apiKey=${canary}`)
  await app.store.put('user', secrets)
  await app.streams.open('talk').append(secrets)
  return { dir, app, port }
}

describe('keelson mcp (needs the build)', () => {
  test('says who it is, lists its tools with their schemas, and that they only read', async () => {
    const { client } = await mcpClient(tempFolder())

    expect(client.getServerVersion()).toMatchObject({ name: 'keelson' })
    expect(client.getServerCapabilities()).toEqual({ tools: {} })
    expect(client.getInstructions()).toContain('Begin with `health`')
    const listed = (await client.listTools()).tools
    expect(listed.map(({ name }) => name)).toEqual(Object.keys(tools))
    for (const { annotations } of listed)
      expect(annotations).toMatchObject({ readOnlyHint: true, destructiveHint: false })
    expect(listed.find(({ name }) => name === 'run')?.inputSchema).toMatchObject({
      type: 'object',
      properties: { type: { type: 'string' }, id: { type: 'string' } },
      required: ['type', 'id'],
    })
    await expect(client.callTool({ name: 'kill', arguments: {} })).rejects.toThrow(/no tool kill/)
  })

  test('leads from the troubles to the stack and the cause of each planted fault', async () => {
    const { dir, port } = await troubledInstance()
    const { asked } = await mcpClient(dir)

    const { data: health } = await asked('health')
    const troubles: { kind: string; subject: string; link: { view: string; parts: string[] } }[] =
      health.troubles
    const linked = (view: string) => troubles.find(({ link }) => link?.view === view)?.link.parts
    expect(troubles.map(({ kind }) => kind)).toContain('crash loop')

    const failed = (await asked('runs', { type: 'payment', status: 'failed' })).data.rows
    expect(failed).toMatchObject([{ id: '7', status: 'failed' }])
    const { data: run } = await asked('run', { type: 'payment', id: failed[0].id })
    expect(run.failure.join('\n')).toMatch(/fetch failed/)
    expect(run.failure.join('\n')).toContain(
      `caused by Error [ECONNREFUSED]: connect ECONNREFUSED 127.0.0.1:${port}`,
    )
    expect(run.failure.join('\n')).toMatch(/ at .*mcp\.long\.test\.ts:\d+/)

    const dead = (await asked('jobs', { queue: 'mails', state: 'dead' })).data.rows
    const { data: job } = await asked('job', { queue: 'mails', id: dead[0].id })
    expect(job).toMatchObject({ state: 'dead', input: { login: 'ada' } })
    expect(job.failure.join('\n')).toMatch(/ at .*mcp\.long\.test\.ts:\d+/)

    expect(linked('run')).toEqual(['approval', '1'])
    const { data: blocked } = await asked('run', { type: 'approval', id: '1' })
    expect(blocked.row).toMatchObject({ status: 'blocked' })
    expect(JSON.stringify(blocked)).toContain('renamed')

    const { data: crashes } = await asked('crashes')
    const mine = crashes.rows.find(({ subject }: { subject: string }) => subject === 'mailer')
    expect(mine).toMatchObject({ count: 3, lastMessage: expect.stringContaining('send') })
    const { data: report } = await asked('crashes', { process: 'mailer' })
    expect(report.reports[0]).toMatch(/no mailbox.* at .*mcp\.long\.test\.ts:\d+.*smtp/s)
  })

  test('answers with every tool, within 64 KiB, and with a secret in no answer', async () => {
    const { dir, app } = await troubledInstance()
    const { asked, all, faults } = await mcpClient(dir)
    const { data: page } = await asked('jobs', { queue: 'mails', state: 'dead' })
    const { data: processes } = await asked('processes', { find: 'idle' })
    const { data: history } = await asked('history', { kind: 'account', id: 'ann' })
    const entityNamed = { kind: 'account', id: 'ann' }
    const given: Record<string, Record<string, unknown>[]> = {
      crashes: [{}, { process: 'mailer' }, { process: 'account/ann' }],
      process: app.system.processes().map(({ pid }) => ({ pid })),
      log: [{}, { find: 'login' }, { level: 'warn' }, { sort: 'crash' }],
      runs: [{ type: 'payment' }, { type: 'payment', where: 'customer=ada' }, { type: 'approval' }],
      run: [
        { type: 'payment', id: '7' },
        { type: 'approval', id: '1' },
      ],
      jobs: [
        { queue: 'mails', state: 'waiting' },
        { queue: 'mails', state: 'dead' },
      ],
      job: [{ queue: 'mails', id: page.rows[0].id }],
      entities: [{ kind: 'account' }],
      entity: [entityNamed],
      history: [entityNamed],
      entity_at: [{ ...entityNamed, lsn: history.turns[0].lsn }],
      streams: [{}, entityNamed],
      docs_read: [{ page: 'docs/cli/mcp.md' }],
      docs_search: [{ words: 'shard down' }],
    }
    for (const name of Object.keys(tools))
      for (const each of given[name] ?? [{}]) {
        const { isError, text } = await asked(name, each)
        // The process of the connection of the client may have ended.
        if (name === 'process' && isError) continue
        expect([name, each, isError, text]).toEqual([name, each, false, expect.any(String)])
        expect(Buffer.byteLength(text)).toBeLessThan(64 * 1024)
      }

    expect(processes.rows).toHaveLength(1)
    expect(all.filter((text) => text.includes(canary))).toEqual([])
    // They were looked at, and say that something is there.
    const said = all.join('\n')
    for (const text of ['ada', '[hidden string of 7]', 'apiKey=[hidden', 'a login has failed'])
      expect(said).toContain(text)
    expect(faults).toEqual([])
  })

  test('says that the instance is away, and is connected again at the next call', async () => {
    const dir = tempFolder()
    const { asked } = await mcpClient(dir)
    const away = async () => {
      const { isError, data } = await asked('health')
      expect([isError, data.error.code]).toEqual([true, expect.stringMatching(/NO_PROCESS|CLOSED/)])
      expect(data.error.next).toContain('call again')
    }
    await away()
    const first = await start({ dir, attach: true, logger: log })
    expect((await asked('health')).data.header.phase).toBe('open')
    await first.close()
    await away()
    expect((await asked('docs_list')).isError).toBe(false)
    const second = await start({ dir, attach: true, logger: log })
    onTestFinished(() => second.close().then(() => undefined))
    expect((await asked('health')).data.header.phase).toBe('open')
  })

  test('is a session that only looks, as the instance says', async () => {
    const dir = tempFolder()
    const app = await start({ dir, attach: true, logger: log })
    onTestFinished(() => app.close().then(() => undefined))
    const { asked } = await mcpClient(dir)
    expect((await asked('health')).data.header.isWriting).toBe(false)
  })

  const initialize = {
    ...{ jsonrpc: '2.0', id: 1, method: 'initialize' },
    params: {
      protocolVersion: '2025-06-18',
      capabilities: {},
      clientInfo: { name: 'test', version: '0' },
    },
  }

  test('ends when its input ends, after its answers, with nothing else on its output', async () => {
    const dir = tempFolder()
    const command = startKeelson(['mcp', '--dir', 'd'], dir)
    const call = (id: number, name: string) => ({
      ...{ jsonrpc: '2.0', id, method: 'tools/call' },
      params: { name, arguments: {} },
    })
    const begun = { jsonrpc: '2.0', method: 'notifications/initialized' }
    const sent = [initialize, begun, call(2, 'health'), call(3, 'docs_list')]
    command.process.stdin?.end(sent.map((each) => `${JSON.stringify(each)}\n`).join(''))

    const { status, output, errors } = await command.ended
    expect(status).toBe(0)
    const ids = output
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).id)
    expect(ids.sort()).toEqual([1, 2, 3])
    expect(errors).toContain('reading tools for')
  })

  test('without its package says what to install, on standard error', async () => {
    const dir = tempFolder()
    const hook = `export const resolve = (name, context, next) => {
      if (name.startsWith('@modelcontextprotocol/')) throw new Error('Cannot find package')
      return next(name, context)
    }`
    const hooked = `data:text/javascript,${encodeURIComponent(hook)}`
    const script = `import { register } from 'node:module'; register(${JSON.stringify(hooked)})`
    const words = ['--import', `data:text/javascript,${encodeURIComponent(script)}`, program, 'mcp']
    const { ended } = running(spawn(process.execPath, words, { cwd: dir }))

    const { status, output, errors } = await ended
    expect([status, output]).toEqual([1, ''])
    expect(errors).toMatch(
      /^CONFIG: a package is missing, `npm install @modelcontextprotocol\/sdk`/,
    )
  })

  test('ends at SIGTERM while it is connected', async () => {
    const dir = tempFolder()
    const app = await start({ dir, attach: true, logger: log })
    onTestFinished(() => app.close().then(() => undefined))
    const command = startKeelson(['mcp', '--dir', dir], dir)
    await command.write(`${JSON.stringify(initialize)}\n`)
    await command.says('"serverInfo"')
    command.process.kill('SIGTERM')
    expect((await command.ended).status).toBe(143)
  })
})
