/**
 * An agent that survives kill -9: a conversation is a run. A step streams an answer of the model, a step
 * calls a tool, and a dangerous tool waits for a person. All that is said is in the stream `out`.
 */
import { type Ctx, workflow } from 'keelson/flow'
import { replyIn, type Turn, tokensOf } from './model.ts'

/** A message of the stream. */
export type Line =
  | { readonly type: 'user' | 'token' | 'tool'; readonly text: string }
  | { readonly type: 'asks'; readonly name: string; readonly arg: string }
  | { readonly type: 'end' }

type Signals = { say: string; approval: boolean }
type Conversation = { readonly turns: readonly Turn[] }

/** A tool. `key` is the same when a crash makes it run again: give it to the other side. */
export type Tool = (arg: string, key: string) => Promise<string>

const dangerous = ['delete']
const roundsMax = 50

export const agentOf = (tools: Readonly<Record<string, Tool>>) =>
  workflow('agent', async (ctx: Ctx<Signals>, { turns: before }: Conversation) => {
    const out = ctx.stream<Line>('out')
    const turns = [...before]

    /** One answer. A try that was cut off is continued: what it said stays, and no token comes twice. */
    const answer = (round: string) =>
      ctx.step(`answer-${round}`, async ({ stream, signal }) => {
        const tokens = await stream<Line>('out', { retry: 'continue' })
        let said = ''
        for (const line of await tokens.sent()) if (line.type === 'token') said += line.text
        for await (const text of tokensOf(turns, said, signal)) {
          said += text
          await tokens.append({ type: 'token', text })
        }
        return replyIn(said)
      })

    const toolResult = async (round: string, name: string, arg: string) => {
      if (dangerous.includes(name)) {
        out.append({ type: 'asks', name, arg })
        if (!(await ctx.waitFor('approval', { key: `approval-${round}` })))
          return 'it was not allowed'
      }
      const tool = Object.hasOwn(tools, name) ? tools[name] : undefined
      return ctx.step(`tool-${round}`, ({ key }) => tool?.(arg, key) ?? 'there is no such tool')
    }

    for (let round = 1; round <= roundsMax; round++) {
      const text = await ctx.waitFor('say', { key: `say-${round}` })
      out.append({ type: 'user', text })
      turns.push({ role: 'user', text })
      for (let call = 1, done = false; !done; call++) {
        const { text: said, tool } = await answer(`${round}.${call}`)
        turns.push({ role: 'model', text: said })
        done = tool === undefined
        if (!tool) continue
        const result = await toolResult(`${round}.${call}`, tool.name, tool.arg)
        out.append({ type: 'tool', text: result })
        turns.push({ role: 'tool', text: result })
      }
      out.append({ type: 'end' })
    }
    return ctx.again({ turns })
  })

export type Agent = ReturnType<typeof agentOf>
