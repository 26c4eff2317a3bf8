from django.urls import path

from transcoding import views

urlpatterns = [
    path("conversions/", views.conversions, name="conversions"),
    path("conversions/<uuid:pk>/", views.conversion, name="conversion"),
    path("conversions/<uuid:pk>/retry/", views.conversion_retry, name="conversion_retry"),
    path("conversions/<uuid:pk>/hand-over/", views.conversion_hand_over, name="conversion_hand_over"),
    path("transcoding/callback/", views.callback, name="transcoding_callback"),
]
