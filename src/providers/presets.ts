import { blackbaudSky } from './blackbaud.ts'
import { constantContact } from './constant-contact.ts'
import { hubspot, salesforce, zoho } from './crm.ts'
import { generic } from './generic.ts'
import { highq } from './highq.ts'
import { google, microsoftEntra } from './identity-platforms.ts'
import { mayaCustomer, mayaPartner } from './maya.ts'
import { quickbooks, xero } from './accounting.ts'
import type { Provider } from './provider.ts'

/** Every preset. Data only: what a provider needs beyond it is a general setting, never code of its own. */
export const presets: readonly Provider[] = [
  blackbaudSky,
  constantContact,
  highq,
  mayaPartner,
  mayaCustomer,
  generic,
  quickbooks,
  xero,
  hubspot,
  zoho,
  salesforce,
  microsoftEntra,
  google,
]
