/** What the doctor finds in surroundings given as variables, by the checks' names. */
import { readConfig } from '../config.ts'
import { checkUp } from '../doctor/check-up.ts'
import type { Finding } from '../doctor/finding.ts'
import { withEndpoints } from '../endpoints.ts'
import { createLogger } from '../logger.ts'
import { createServices } from '../services.ts'

/** Nobody listens on port 1. */
export const GONE = '127.0.0.1:1'

export async function examine(
  variables: Record<string, string>,
  options: Parameters<typeof checkUp>[1] = {},
): Promise<Record<string, Finding>> {
  const away = {
    KAFKA_BROKERS: GONE,
    SCHEMA_REGISTRY_URL: `http://${GONE}`,
    DATABASE_URL: `postgres://u:p@${GONE}/x`,
    OPENAI_BASE_URL: `http://${GONE}/v1`,
    OPENAI_API_KEY: 'none',
  }
  const services = createServices(withEndpoints(readConfig({ ...away, ...variables }), {}), createLogger('silent'))
  const findings: Record<string, Finding> = {}
  try {
    for await (const finding of checkUp(services, options)) findings[finding.check] = finding
  } finally {
    await services.close()
  }
  return findings
}
