from django.urls import path

from encounters.views import audit, events, patient, staff, texts, uploads

urlpatterns = [
    path("", staff.worklist, name="worklist"),
    path("encounters/new/", staff.encounter_new, name="encounter_new"),
    path("encounters/<slug:reference>/", staff.encounter_detail, name="encounter"),
    path("encounters/<slug:reference>/links/", staff.invitation_new, name="invitation_new"),
    path(
        "encounters/<slug:reference>/links/<int:pk>/revoke/",
        staff.invitation_revoke,
        name="invitation_revoke",
    ),
    path("encounters/<slug:reference>/review/", staff.encounter_review, name="encounter_review"),
    path("encounters/<slug:reference>/open/", staff.encounter_open, name="encounter_open"),
    path("encounters/<slug:reference>/access/", audit.access_records, name="access_records"),
    path("encounters/<slug:reference>/access.csv", audit.access_export, name="access_export"),
    path("videos/<uuid:pk>/", staff.video_detail, name="video"),
    path("videos/<uuid:pk>/play", staff.video_play, name="video_play"),
    path("videos/<uuid:pk>/live.mp4", staff.video_live, name="video_live"),
    path("videos/<uuid:pk>/poster", staff.video_poster, name="video_poster"),
    path("videos/<uuid:pk>/custody/", audit.custody_page, name="custody"),
    path("videos/<uuid:pk>/custody.json", audit.custody_export, name="custody_export"),
    path("texts/", texts.texts, name="texts"),
    path("texts/<slug:code>/consent/", texts.consent_texts, name="consent_texts"),
    path("u/<str:token>/", patient.link, name="patient_link"),
    path("send/", patient.next_step, name="patient_next"),
    path("send/consent/", patient.consent, name="patient_consent"),
    path("send/description/", patient.description, name="patient_description"),
    path("send/videos/", patient.videos, name="patient_videos"),
    path("send/finish/", patient.submit, name="patient_submit"),
    path("send/receipt/", patient.receipt, name="patient_receipt"),
    path("uploads/", uploads.upload_new, name="upload_new"),
    path("uploads/arrived/", events.store_event, name="store_event"),
    path("uploads/<uuid:pk>/", uploads.upload, name="upload"),
    path("uploads/<uuid:pk>/parts/", uploads.upload_parts, name="upload_parts"),
    path("uploads/<uuid:pk>/complete/", uploads.upload_complete, name="upload_complete"),
]
