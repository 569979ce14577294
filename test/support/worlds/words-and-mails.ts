/** A workflow and a queue that note what reaches them, for tests of what comes about with other writes. */
import { type Ctx, queue, type Try, workflow } from '../../../src/flow/index.ts'

/** The signals of the workflow. */
type Words = { word: string }

/** The workflow hears as many words as its input says; the queue sends mails. */
export const wordsAndMails = () => {
  const heard: string[] = []
  const sent: (readonly [job: string, key: string])[] = []
  const listens = workflow('listens', async (ctx: Ctx<Words>, count: number) => {
    const words: string[] = []
    for (let at = 0; at < count; at++) words.push(await ctx.waitFor('word'))
    await ctx.step('hear', () => void heard.push(words.join(' ')))
    return words
  })
  const mails = queue('mails', (job: string, { key }: Try) => void sent.push([job, key]))
  return { heard, sent, listens, mails }
}

/** They, and what they have noted. */
export type WordsAndMails = ReturnType<typeof wordsAndMails>
