/** The same schema, and one that is asynchronous, as each library makes it. */
import { type } from 'arktype'
import * as v from 'valibot'
import { z } from 'zod'

export const orders = {
  Zod: z.object({
    items: z.array(z.object({ cents: z.string().transform(Number) })),
    at: z.number().default(3),
  }),
  Valibot: v.object({
    items: v.array(v.object({ cents: v.pipe(v.string(), v.transform(Number)) })),
    at: v.optional(v.number(), 3),
  }),
  ArkType: type({ items: type({ cents: 'string.numeric.parse' }).array(), at: 'number = 3' }),
}

/** ArkType has none. */
export const asynchronous = {
  Zod: z.any().refine(async () => true),
  Valibot: v.pipeAsync(
    v.unknown(),
    v.checkAsync(async () => true),
  ),
}

/** The message of ArkType for a text that does not fit its pattern has the text in it. */
export const account = type({ name: 'string > 3', password: /^[a-z]{10,}$/ })
