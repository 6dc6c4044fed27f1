"""The routes of Orthanc 1.13 and of its official plugins, by the area of work that brings them to Ithil.

One line a path: the methods, then the path, where `{...}` is one segment or more. The table only names what
exists elsewhere; what of it Ithil has is read from Ithil's own table of routes (see `document`).
"""

from __future__ import annotations

ROUTES: dict[str, str] = {
    "system and tools": """
GET /
GET /favicon.ico
GET /statistics
GET /system
GET /tools
GET /tools/accepted-sop-classes
GET,PUT /tools/accepted-transfer-syntaxes
GET,PUT /tools/default-encoding
GET /tools/dicom-conformance
POST /tools/execute-script
GET /tools/generate-uid
GET,PUT /tools/log-level
GET,PUT /tools/log-level-dicom
GET,PUT /tools/log-level-generic
GET,PUT /tools/log-level-http
GET,PUT /tools/log-level-jobs
GET,PUT /tools/log-level-lua
GET,PUT /tools/log-level-plugins
GET,PUT /tools/log-level-sqlite
GET,PUT /tools/metrics
GET /tools/metrics-prometheus
GET /tools/now
GET /tools/now-local
POST /tools/reset
POST /tools/shutdown
GET,PUT /tools/unknown-sop-class-accepted
""",
    "resources": """
GET,POST /instances
GET,DELETE /instances/{id}
GET /instances/{id}/content/{path}
POST /instances/{id}/export
GET /instances/{id}/file
GET /instances/{id}/header
GET /instances/{id}/patient
GET /instances/{id}/series
GET /instances/{id}/simplified-tags
GET /instances/{id}/statistics
GET /instances/{id}/study
GET /instances/{id}/tags
GET /patients
GET,DELETE /patients/{id}
GET /patients/{id}/instances
GET,PUT /patients/{id}/protected
GET /patients/{id}/series
GET /patients/{id}/statistics
GET /patients/{id}/studies
GET /series
GET,DELETE /series/{id}
GET /series/{id}/instances
GET /series/{id}/patient
GET /series/{id}/statistics
GET /series/{id}/study
GET /studies
GET,DELETE /studies/{id}
GET /studies/{id}/instances
GET /studies/{id}/patient
GET /studies/{id}/series
GET /studies/{id}/statistics
""",
    "tags": """
GET /instances/{id}/module
GET /patients/{id}/instances-tags
GET /patients/{id}/module
GET /patients/{id}/shared-tags
GET /series/{id}/instances-tags
GET /series/{id}/module
GET /series/{id}/shared-tags
GET /studies/{id}/instances-tags
GET /studies/{id}/module
GET /studies/{id}/module-patient
GET /studies/{id}/shared-tags
""",
    "changes": """
GET,DELETE /changes
GET,DELETE /exports
""",
    "searches": """
POST /tools/bulk-content
POST /tools/bulk-delete
POST /tools/count-resources
POST /tools/find
POST /tools/lookup
""",
    "attachments": """
GET /instances/{id}/attachments
GET,PUT,DELETE /instances/{id}/attachments/{name}
POST /instances/{id}/attachments/{name}/compress
GET /instances/{id}/attachments/{name}/compressed-data
GET /instances/{id}/attachments/{name}/compressed-md5
GET /instances/{id}/attachments/{name}/compressed-size
GET /instances/{id}/attachments/{name}/data
GET /instances/{id}/attachments/{name}/info
GET /instances/{id}/attachments/{name}/is-compressed
GET /instances/{id}/attachments/{name}/md5
GET /instances/{id}/attachments/{name}/size
POST /instances/{id}/attachments/{name}/uncompress
POST /instances/{id}/attachments/{name}/verify-md5
GET /patients/{id}/attachments
GET,PUT,DELETE /patients/{id}/attachments/{name}
POST /patients/{id}/attachments/{name}/compress
GET /patients/{id}/attachments/{name}/compressed-data
GET /patients/{id}/attachments/{name}/compressed-md5
GET /patients/{id}/attachments/{name}/compressed-size
GET /patients/{id}/attachments/{name}/data
GET /patients/{id}/attachments/{name}/info
GET /patients/{id}/attachments/{name}/is-compressed
GET /patients/{id}/attachments/{name}/md5
GET /patients/{id}/attachments/{name}/size
POST /patients/{id}/attachments/{name}/uncompress
POST /patients/{id}/attachments/{name}/verify-md5
GET /series/{id}/attachments
GET,PUT,DELETE /series/{id}/attachments/{name}
POST /series/{id}/attachments/{name}/compress
GET /series/{id}/attachments/{name}/compressed-data
GET /series/{id}/attachments/{name}/compressed-md5
GET /series/{id}/attachments/{name}/compressed-size
GET /series/{id}/attachments/{name}/data
GET /series/{id}/attachments/{name}/info
GET /series/{id}/attachments/{name}/is-compressed
GET /series/{id}/attachments/{name}/md5
GET /series/{id}/attachments/{name}/size
POST /series/{id}/attachments/{name}/uncompress
POST /series/{id}/attachments/{name}/verify-md5
GET /studies/{id}/attachments
GET,PUT,DELETE /studies/{id}/attachments/{name}
POST /studies/{id}/attachments/{name}/compress
GET /studies/{id}/attachments/{name}/compressed-data
GET /studies/{id}/attachments/{name}/compressed-md5
GET /studies/{id}/attachments/{name}/compressed-size
GET /studies/{id}/attachments/{name}/data
GET /studies/{id}/attachments/{name}/info
GET /studies/{id}/attachments/{name}/is-compressed
GET /studies/{id}/attachments/{name}/md5
GET /studies/{id}/attachments/{name}/size
POST /studies/{id}/attachments/{name}/uncompress
POST /studies/{id}/attachments/{name}/verify-md5
""",
    "metadata": """
GET /instances/{id}/metadata
GET,PUT,DELETE /instances/{id}/metadata/{name}
GET /patients/{id}/metadata
GET,PUT,DELETE /patients/{id}/metadata/{name}
GET /series/{id}/metadata
GET,PUT,DELETE /series/{id}/metadata/{name}
GET /studies/{id}/metadata
GET,PUT,DELETE /studies/{id}/metadata/{name}
""",
    "labels": """
GET /instances/{id}/labels
GET,PUT,DELETE /instances/{id}/labels/{label}
GET /patients/{id}/labels
GET,PUT,DELETE /patients/{id}/labels/{label}
GET /series/{id}/labels
GET,PUT,DELETE /series/{id}/labels/{label}
GET /studies/{id}/labels
GET,PUT,DELETE /studies/{id}/labels/{label}
GET /tools/labels
""",
    "pictures": """
GET /instances/{id}/frames
GET /instances/{id}/frames/{frame}
GET /instances/{id}/frames/{frame}/image-int16
GET /instances/{id}/frames/{frame}/image-uint16
GET /instances/{id}/frames/{frame}/image-uint8
GET /instances/{id}/frames/{frame}/matlab
GET /instances/{id}/frames/{frame}/numpy
GET /instances/{id}/frames/{frame}/preview
GET /instances/{id}/frames/{frame}/raw
GET /instances/{id}/frames/{frame}/raw.gz
GET /instances/{id}/frames/{frame}/rendered
GET /instances/{id}/image-int16
GET /instances/{id}/image-uint16
GET /instances/{id}/image-uint8
GET /instances/{id}/matlab
GET /instances/{id}/numpy
GET /instances/{id}/pdf
GET /instances/{id}/preview
GET /instances/{id}/rendered
GET /series/{id}/numpy
GET /series/{id}/ordered-slices
""",
    "modification": """
POST /instances/{id}/anonymize
POST /instances/{id}/modify
POST /patients/{id}/anonymize
POST /patients/{id}/modify
POST /series/{id}/anonymize
POST /series/{id}/modify
POST /studies/{id}/anonymize
POST /studies/{id}/merge
POST /studies/{id}/modify
POST /studies/{id}/split
POST /tools/bulk-anonymize
POST /tools/bulk-modify
POST /tools/create-dicom
""",
    "archives": """
GET,POST /patients/{id}/archive
GET,POST /patients/{id}/media
GET,POST /series/{id}/archive
GET,POST /series/{id}/media
GET,POST /studies/{id}/archive
GET,POST /studies/{id}/media
GET,POST /tools/create-archive
GET,POST /tools/create-media
GET,POST /tools/create-media-extended
""",
    "jobs": """
GET /jobs
GET,DELETE /jobs/{id}
POST /jobs/{id}/cancel
POST /jobs/{id}/pause
POST /jobs/{id}/resubmit
POST /jobs/{id}/resume
GET,DELETE /jobs/{id}/{key}
""",
    "DICOM client": """
GET /modalities
GET,PUT,DELETE /modalities/{id}
GET /modalities/{id}/configuration
POST /modalities/{id}/echo
POST /modalities/{id}/find
POST /modalities/{id}/find-instance
POST /modalities/{id}/find-patient
POST /modalities/{id}/find-series
POST /modalities/{id}/find-study
POST /modalities/{id}/find-worklist
POST /modalities/{id}/get
POST /modalities/{id}/move
POST /modalities/{id}/query
POST /modalities/{id}/storage-commitment
POST /modalities/{id}/store
POST /modalities/{id}/store-straight
GET /queries
GET,DELETE /queries/{id}
GET /queries/{id}/answers
GET /queries/{id}/answers/{index}
GET /queries/{id}/answers/{index}/content
POST /queries/{id}/answers/{index}/query-instances
POST /queries/{id}/answers/{index}/query-series
POST /queries/{id}/answers/{index}/query-studies
POST /queries/{id}/answers/{index}/retrieve
GET /queries/{id}/level
GET /queries/{id}/modality
GET /queries/{id}/query
POST /queries/{id}/retrieve
POST /tools/dicom-echo
""",
    "storage commitment": """
GET /storage-commitment/{id}
POST /storage-commitment/{id}/remove
""",
    "peers": """
GET /peers
GET,PUT,DELETE /peers/{id}
GET /peers/{id}/configuration
POST /peers/{id}/store
POST /peers/{id}/store-straight
GET /peers/{id}/system
""",
    "maintenance": """
POST /instances/{id}/reconstruct
POST /patients/{id}/reconstruct
POST /series/{id}/reconstruct
POST /studies/{id}/reconstruct
POST /tools/invalidate-tags
POST /tools/reconstruct
""",
    "plugins": """
GET /plugins
GET /plugins/explorer.js
GET /plugins/{id}
""",
    "DICOMweb server": """
GET,POST /dicom-web/studies
GET /dicom-web/series
GET /dicom-web/instances
GET,POST /dicom-web/studies/{study}
GET /dicom-web/studies/{study}/series
GET /dicom-web/studies/{study}/instances
GET /dicom-web/studies/{study}/metadata
GET /dicom-web/studies/{study}/rendered
GET /dicom-web/studies/{study}/thumbnail
GET /dicom-web/studies/{study}/series/{series}
GET /dicom-web/studies/{study}/series/{series}/instances
GET /dicom-web/studies/{study}/series/{series}/metadata
GET /dicom-web/studies/{study}/series/{series}/rendered
GET /dicom-web/studies/{study}/series/{series}/thumbnail
GET /dicom-web/studies/{study}/series/{series}/instances/{instance}
GET /dicom-web/studies/{study}/series/{series}/instances/{instance}/metadata
GET /dicom-web/studies/{study}/series/{series}/instances/{instance}/rendered
GET /dicom-web/studies/{study}/series/{series}/instances/{instance}/thumbnail
GET /dicom-web/studies/{study}/series/{series}/instances/{instance}/bulk/{path}
GET /dicom-web/studies/{study}/series/{series}/instances/{instance}/frames
GET /dicom-web/studies/{study}/series/{series}/instances/{instance}/frames/{list}
GET /dicom-web/studies/{study}/series/{series}/instances/{instance}/frames/{frame}/rendered
GET /dicom-web/studies/{study}/series/{series}/instances/{instance}/frames/{frame}/thumbnail
GET /wado
GET /dicom-web/info
POST /studies/{id}/update-dicomweb-cache
""",
    "DICOMweb client": """
GET /dicom-web/servers
GET,PUT,DELETE /dicom-web/servers/{name}
POST /dicom-web/servers/{name}/get
POST /dicom-web/servers/{name}/qido
POST /dicom-web/servers/{name}/stow
POST /dicom-web/servers/{name}/retrieve
POST /dicom-web/servers/{name}/wado
POST /dicom-web/servers/{name}/delete
""",
    "WebDAV": """
GET,PUT,DELETE /webdav/{path}
""",
    "authorization": """
GET /auth/user/profile
PUT /auth/tokens/{type}
POST /auth/tokens/decode
GET,PUT /auth/settings/roles
GET /auth/settings/permissions
GET /auth/audit-logs
""",
    "storage plugins": """
POST /move-storage
POST /plugins/advanced-storage/adopt-instance
POST /plugins/advanced-storage/abandon-instance
POST /plugins/advanced-storage/move-storage
GET /plugins/advanced-storage/status
GET /plugins/housekeeper/status
GET /plugins/delayed-deletion/status
GET /plugins/postgresql/audit-logs
""",
    "transfers": """
POST /transfers/send
POST /transfers/pull
POST /transfers/lookup
GET /transfers/chunks/{ids}
GET /transfers/peers
POST /transfers/push
PUT /transfers/push/{id}/{bucket}
POST /transfers/push/{id}/commit
DELETE /transfers/push/{id}
""",
    "worklists": """
GET /worklists
POST /worklists/create
GET,PUT,DELETE /worklists/{id}
""",
    "web application": """
GET /ui/app/{path}
GET /ui/api/configuration
GET /ui/api/pre-login-configuration
GET /app/{path}
""",
}
