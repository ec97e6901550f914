// MSAL for Node gets tokens and uses them.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import https from "node:https";

// The packages are where NODE_PATH says, which imports do not look at.
const require = createRequire(`${process.env.COUNTERMAND_NODE_FOLDER}/`);
const { ConfidentialClientApplication } = require("@azure/msal-node");
const { version } = require("@azure/msal-node/package.json");

const { COUNTERMAND_URL: url, COUNTERMAND_TENANT: tenant, COUNTERMAND_CLIENT_ID: clientId } = process.env;
const ca = readFileSync(process.env.COUNTERMAND_CA_FILE);

const resources = [
  "https://api.securitycenter.microsoft.com",
  "https://api.securitycenter.windows.com",
  "https://api.security.microsoft.com",
  "https://securitycenter.onmicrosoft.com/windowsatpservice",
  url,
];

function must(holds, what) {
  if (!holds) {
    console.error("does not hold:", what);
    process.exit(1);
  }
}

function application(clientSecret) {
  const authority = `${url}/${tenant}`;
  return new ConfidentialClientApplication({
    auth: { clientId, authority, clientSecret, knownAuthorities: [new URL(url).host] },
  });
}

function call(token) {
  return new Promise((resolve, reject) => {
    const headers = { Authorization: `Bearer ${token}` };
    https.get(`${url}/api/machines?$top=1`, { ca, headers }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    }).on("error", reject);
  });
}

const ours = application(process.env.COUNTERMAND_CLIENT_SECRET);
for (const resource of resources) {
  const answer = await ours.acquireTokenByClientCredential({ scopes: [`${resource}/.default`] });
  must(answer.tokenType === "Bearer" && answer.expiresOn > new Date(), answer);
  must((await call(answer.accessToken)) === 200, "the API takes the token");
  must((await call(`${answer.accessToken}x`)) === 401, "the API refuses a changed token");
}
let refused;
try {
  await application("not the secret").acquireTokenByClientCredential({ scopes: [`${resources[0]}/.default`] });
} catch (error) {
  refused = error;
}
must(refused?.errorCode === "invalid_client" && /AADSTS7000215/.test(refused.errorMessage), refused);
console.log(`@azure/msal-node ${version}: ${resources.length} tokens, used; a wrong secret is ${refused.errorCode}`);
